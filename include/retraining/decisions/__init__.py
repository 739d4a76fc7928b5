"""What a run decided: its record, the evidence for it, and the flags it used up.

It may import the registry and the rooms below. Start at `record.py`. A record is written by
`steps/close_run.py`, which puts the notice into the outbox first.
"""
