"""A row's key: which versions, runs and scores of which models have it.

Start at `who_saw.py`. A version's manifest has a sketch of its keys only, so where that does not
say, the delivery that the version was trained on is read again (`delivered_keys.py`).
"""
