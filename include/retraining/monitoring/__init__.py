"""Monitoring: what a champion scores on labels that came after it, beside what its gate promised.

It may import the scoring of new rows, the evaluation and the rooms below, and changes no champion.
Start at `grade.py`.
"""
