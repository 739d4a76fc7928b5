"""The tasks of `upkeep`: what grows with every run and is needed by none.

It may import every other room but the watch. Start at `trim_database.py`; what `gc` removes is
decided in `include/retraining/maintenance/`.
"""
