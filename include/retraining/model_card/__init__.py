"""The model card: what a version is for, what it was made from, and how it performed.

It may import monitoring and the rooms below, and changes nothing. Start at `render.py`.
"""
