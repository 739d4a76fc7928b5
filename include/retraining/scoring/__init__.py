"""Scoring new rows with the champion: which partitions, by which version, and what is left there.

The step `score` of a job, without a label and without a gate. It may import the registry and the
rooms below. Start at `score.py`.
"""
