"""The command line as tests use it: commands parsed without being run, and their options."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import typer

from include.retraining.cli.app import PROGRAM, app

Run = Callable[..., tuple[int, str, str]]
"""Runs a command in the test's process: exit code, output and errors."""


def options_by_command() -> dict[str, set[str]]:
    """Return the options of each command, as they are typed."""
    commands = vars(typer.main.get_command(app))["commands"]
    return {
        name: {
            "--help",
            *(option for param in command.params for option in param.opts if option[0] == "-"),
        }
        for name, command in commands.items()
    }


def parse(command_line: str) -> None:
    """Parse a command without running it.

    Raises:
        TyperException: when it cannot be typed like this.
    """
    name, *words = shlex.split(command_line)
    group = typer.main.get_command(app)
    with group.make_context(PROGRAM, [name, *words]) as context:
        command = vars(group)["commands"].get(name)
        if command is None:
            context.fail(f"No such command {name!r}.")
        command.make_context(name, words, parent=context)
