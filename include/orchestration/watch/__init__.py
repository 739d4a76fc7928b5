"""The tasks of `watch_models`: what is wrong although no run reports it.

Each task has one duty, and none stops another. It may import every other room. Start at `tasks.py`;
the conditions are in `include/retraining/watch/`.
"""
