"""What makes a model train again: the digests of its data, its configuration and its code.

`TRAINS` and `JUDGES` in `digests.py` list the code that counts. It may import the configuration and
the rooms below it. Start at `fingerprint.py`.
"""
