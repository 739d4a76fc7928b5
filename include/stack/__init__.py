"""The services of docker-compose.yaml that are this repository's own, one file each.

Each is a command, `python -m include.stack.NAME`; nothing else imports them.
"""
