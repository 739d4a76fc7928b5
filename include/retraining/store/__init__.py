"""The object store: the only access to it, its layout, and the masking of its secrets.

It may import the configuration; it knows no run's documents. Start at `layout.py`, then
`object_store.py`.
"""
