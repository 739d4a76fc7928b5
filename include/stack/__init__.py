"""The services of docker-compose.yaml that are this repository's own, a file each.

Each is a command, `python -m include.stack.NAME`; nothing else imports them.
"""
