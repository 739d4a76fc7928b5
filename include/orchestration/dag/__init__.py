"""What a DAG file asks for while it is parsed: schedule, limits, page, executors.

Nothing heavy is imported, and the store is not asked. It knows notifications and all below. Start
at `schedule.py`.
"""
