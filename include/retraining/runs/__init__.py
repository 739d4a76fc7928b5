"""One run: what it pinned, which job may run each step, and the results its steps wrote.

It may import the store and the configuration, and does not know what a step does. Start at
`manifest.py`, then `claims.py` and `results.py`.
"""
