"""Fitting a model, saving and loading it, and asking it, in Python or in another language.

It knows data and all below, nothing of scores or of the champion. Start at `fitting.py`; the step
is `steps/train.py`.
"""
