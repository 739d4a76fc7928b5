"""A new model's files, written from a sample of its data: YAML, contract, features, estimator.

What is guessed is marked `CHECK`, and nothing is written that a delivery of the sample would break.
Start at `new_model.py`.
"""
