"""The command line of a person: what can be asked of a store, or changed in it by hand.

It may know every other room; none knows it but `__main__`. Start at `parser.py`, which lists the
commands; what each of them does is in `commands.py`.
"""
