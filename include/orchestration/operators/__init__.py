"""The light tasks of the DAGs, one file each: wait, plan, ask the gate, promote, roll back.

An operator opens the store, calls the core, and hands on what came of it. May know all rooms but
the watch. Start with `plan_run.py`.
"""
