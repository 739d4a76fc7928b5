"""What was decided, and why, for people: the command line and the pages ask here.

It reads what the rooms below wrote and writes nothing. Start at `overview.py`; `explain.py` says in
a sentence why a model was or was not updated.
"""
