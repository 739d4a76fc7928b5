"""Alarms that no run can raise: late, silent or damaged models, and a dead scheduler.

It may know alerts and all below. No step of a run knows it: a decision reads what the watch saw of
the promotion log through `decisions/alarm_state.py`. Start at `conditions.py`.
"""
