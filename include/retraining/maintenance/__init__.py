"""Maintenance: remove old versions, train an earlier version again, judge a report again.

It may import every step of a run; no run needs it. Start at `gc.py`.
"""
