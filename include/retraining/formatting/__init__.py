"""Numbers, text and Markdown, formatted for readers.

It knows nothing of models or runs. Start at `numbers.py`.
"""
