"""What a run decided: its record, the evidence it was decided on, who approved.

It may know the registry and all below. What writes a record is `steps/close_run.py`, because a
notice of it waits in the outbox first. Start at `record.py`.
"""
