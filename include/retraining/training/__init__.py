"""Fitting a model, saving and loading it, and asking it, in Python or in another language.

It knows data and all below, nothing of scores or of what serves. Start at `fitting.py`; the step is
`steps/train.py`.
"""
