"""The model card: what a version is for, what it was made from, and how it did.

It may know the registry and all below, and changes nothing. Start at `render.py`.
"""
