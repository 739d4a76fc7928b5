"""What a DAG file needs while it is parsed: schedule, limits, page, executors.

Nothing heavy is imported, and the store is not opened. It may import callbacks and the rooms below.
Start at `schedule.py`. The order of the tasks is in the DAG files, `dags/`.
"""
