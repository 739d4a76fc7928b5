"""The versions of a model and the promotion log that says which of them serves.

Reading what serves is `promotion_log.py`; the power to change it is `promotion.py` alone. It may
know the gate, whose verdict it demands, and all below. Start at `entry.py`.
"""
