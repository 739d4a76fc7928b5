"""The command line of a user: what can be read from a store, or changed in it.

It may import every other room; only `__main__` imports it. Start at `app.py`, which lists the
commands; each group of commands is a file in `commands/`.
"""
