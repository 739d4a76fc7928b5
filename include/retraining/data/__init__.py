"""Deliveries: whether one is complete, reading it, checking its contract, choosing its holdout.

It may import runs and the rooms below, and knows no model. Start at `delivery.py`, then
`dataset.py`, `contract.py` and `split.py`.
"""
