"""The object store: the only door to it, where everything lies in it, and what is masked.

It knows the configuration and no document of a run. Start at `layout.py`, then `object_store.py`.
"""
