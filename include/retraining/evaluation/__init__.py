"""Scoring: which models are scored, on which rows, by which metrics, with which intervals.

It writes the report that the gate reads, and does not judge. It may import the registry, whose
champions it scores, and the rooms below. Start at `scoring.py`; the step is `steps/evaluate.py`.
"""
