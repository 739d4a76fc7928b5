"""Maintenance of a store and of earlier runs: remove, train again, judge again.

It may know every step of a run. No run needs it. Start at `gc.py`.
"""
