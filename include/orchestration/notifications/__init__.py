"""When people are notified: callbacks and notifiers of runs and tasks, and Slack by connections.

The texts are the core's. It knows the backends, to end the jobs of a run that has ended, and all
below. Start at `notifiers.py`.
"""
