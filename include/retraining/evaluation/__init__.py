"""Scoring: who is scored, on which rows, by which metrics, with which intervals.

It makes the report that the gate reads, and does not judge. It may know the registry, whose
champions it scores, and all below. Start at `scoring.py`; the step is `steps/evaluate.py`.
"""
