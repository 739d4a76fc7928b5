"""Callbacks and notifiers of runs and tasks: when Slack is notified, and by which connection.

The messages are in `include/retraining/notifications/`. It may import the backends, whose jobs end
with their run, and the rooms below. Start at `notifiers.py`.
"""
