"""The tasks of `watch_models`: what is wrong although no run reports it.

Each task has one duty, and none stops another. It may know every other room. Start at `tasks.py`.
"""
