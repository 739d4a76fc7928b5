"""Fitting a model, saving and loading it, and predicting with it, in Python or another language.

It may import data and the rooms below, and knows neither scores nor the champion. Start at
`fitting.py`; the step is `steps/train.py`. What makes a model train again is in `fingerprint/`.
"""
