"""Notifications: notices, the outbox in which they wait, and the way to Slack.

It may know decisions and all below, and decides nothing. Start at `notice.py`, then `outbox.py`.
"""
