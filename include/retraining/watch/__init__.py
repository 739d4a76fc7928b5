"""Alarms that no run can raise: late, silent or damaged models, and a dead scheduler.

It may import notifications and the rooms below. No step of a run imports it. Start at
`conditions.py`. Airflow's tasks of the watch are in `include/orchestration/watch/`.
"""
