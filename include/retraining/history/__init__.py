"""What was decided, and why: read by the command line and the pages.

It reads what the rooms below wrote and writes nothing. Start at `overview.py`; `explain.py` gives
the reason why a model was or was not updated in one sentence.
"""
