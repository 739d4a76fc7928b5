"""The versions of a model and the promotion log, whose newest entry names the champion.

`promotion_log.py` reads the champion; only `promotion.py` can change it. The room may import the
gate, whose verdict it demands, and the rooms below. Start at `entry.py`.
"""
