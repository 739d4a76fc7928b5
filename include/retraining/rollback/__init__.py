"""Letting an earlier version serve again, by a person: the plan, the trial and the message.

It may know alerts and all below. What changes the promotion log is `registry/promotion.py`. Start
at `plan.py`.
"""
