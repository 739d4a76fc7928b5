"""Deliveries: is one complete, reading it, its contract, and which rows are the holdout.

It knows runs and all below, and no model. Start at `delivery.py`, then `dataset.py` and
`contract.py`.
"""
