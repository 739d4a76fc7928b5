"""What is wrong although no run says so: late, silent or damaged, and a scheduler that is dead.

It may know alerts and all below. No step of a run knows it: what the watch saw of the promotion log
reaches a decision through `decisions/alarm_state.py`. Start at `conditions.py`.
"""
