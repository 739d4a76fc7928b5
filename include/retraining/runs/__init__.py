"""One run: what it pinned, who may do its jobs, what its steps left, and by which code.

It knows the store and the configuration, and nothing of what a step does. Start at `manifest.py`.
"""
