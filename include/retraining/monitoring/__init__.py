"""Monitoring: what a champion scores on later labels, and how far its inputs have drifted.

It may import the scoring of new rows, the evaluation and the rooms below, and changes no champion.
Start at `grade.py` and `drift.py`.
"""
