"""Manual rollback to an earlier version: the plan, the smoke test and the messages.

It may know alerts and all below. What changes the promotion log is `registry/promotion.py`. Start
at `plan.py`.
"""
