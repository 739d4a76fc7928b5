"""The tasks of `watch_models`: what is wrong although no run says so.

May know every other room of the orchestration. Start with `tasks.py`.
"""
