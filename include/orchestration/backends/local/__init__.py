"""A step as a child process of the worker. Start with `operator.py`."""
