"""The light tasks of the DAGs: wait, plan, quality gate, approval, promote, roll back.

Each opens the store, calls one function of the core and returns the result. Most are functions in
the DAG file; those that defer, wait for an answer or end a process when killed are operators. It
may import all rooms but the watch. Start at `run_tasks.py`.
"""
