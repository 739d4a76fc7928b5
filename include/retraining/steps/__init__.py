"""The acts of a run, a file each, in order: plan, validate, train, evaluate, decide, close.

A step reads what the one before it left in the store and leaves evidence of its own. It may know
alerts and all below. Start at `runner.py`, which a job calls.
"""
