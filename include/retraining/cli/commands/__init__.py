"""What each command does, and which arguments and options it takes.

A function is a command: its signature is what may be typed, its docstring is the help. Start at
`history.py`. `app.py` beside this folder gives each of them its name.
"""
