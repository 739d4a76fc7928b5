"""The command line of a user: what can be asked of a store, or changed in it.

It may know every other room; none knows it but `__main__`. Start at `app.py`, which lists the
commands; what each of them does is in `commands/`, a file for each group.
"""
