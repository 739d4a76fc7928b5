"""Manual rollback to an earlier version: the plan, the smoke test and the messages.

It may import notifications and the rooms below. The promotion log is changed by
`registry/promotion.py`. Start at `plan.py`.
"""
