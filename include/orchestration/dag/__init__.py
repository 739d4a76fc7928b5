"""What a DAG file asks for while it is parsed: when, how long, its page, its executors.

Nothing heavy is imported here, and nothing here asks the store. Start with `schedule.py`.
"""
