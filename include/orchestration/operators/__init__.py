"""The light tasks of the DAGs: wait, plan, ask the gate, ask a person, promote, roll back.

An operator opens the store, calls one function of the core and hands on what came of it. It may
know all rooms but the watch. Start at `plan_run.py`.
"""
