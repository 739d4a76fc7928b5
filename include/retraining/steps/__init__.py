"""The steps of a run, one file each, in order: plan, validate, train, evaluate, decide, close.

A step reads the evidence of the one before it from the store and writes its own. It may import
notifications and the rooms below. Start at `runner.py`, which a job calls.
"""
