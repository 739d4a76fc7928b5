"""The tasks of `watch_models`: what is wrong although no run says so.

Each looks after one thing, and none stops another. It may know every other room. Start at
`tasks.py`.
"""
