"""Numbers, text and Markdown as people read them.

It knows nothing of models or runs. Start at `numbers.py`.
"""
