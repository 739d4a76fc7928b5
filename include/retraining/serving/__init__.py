"""Using a model: its champion, verified and followed, and what it predicts for new rows.

It may import the registry and the rooms below. Servers and jobs that score import it; nothing here
writes to the store. Start at `champion.py`.
"""
