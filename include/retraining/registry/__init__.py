"""The versions of a model and the promotion log, whose newest entry names the champion.

`promotion_log.py` reads the champion; `promotion.py` alone can change it. It may
know the gate, whose verdict it demands, and all below. Start at `entry.py`.
"""
