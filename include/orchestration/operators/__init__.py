"""The light tasks of the DAGs: wait, plan, quality gate, approval, promote, roll back.

Each opens the store, calls one function of the core and hands on what came of it. A task is a
function here and in the DAG file, unless it defers, waits for someone or ends a process when it is
killed: then it is an operator. It may know all rooms but the watch. Start at `run_tasks.py`.
"""
