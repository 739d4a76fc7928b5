"""How the result of a command is printed: as text, or with `--json` for a machine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from include.retraining.store.redaction import redact


def print_answer(
    value: Any,
    show: Callable[[], Iterable[Any]],
    *,
    as_json: bool,
    exit_code: int = 0,
) -> int:
    """Print a command's result and return its exit code.

    Args:
        value: for a machine: documents, data classes, plain values.
        show: makes lines and tables for the terminal; not called with `--json`.
        as_json: whether a machine reads.
        exit_code: returned as it is.
    """
    try:
        if as_json:
            text = json.dumps(_plain(value), indent=2, ensure_ascii=False)
            sys.stdout.write(f"{text}\n")
        else:
            for part in show():
                _print(part)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough: `history NAME | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exit_code


def _print(part: Any) -> None:
    """Print a line or a table."""
    if isinstance(part, str):
        sys.stdout.write(f"{redact(part)}\n")
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    with console.capture() as printed:  # rich itself would end the process on a closed pipe
        console.print(part)
    sys.stdout.write(printed.get())


def _plain(value: Any) -> Any:
    """Return documents and data classes as what JSON knows."""
    if isinstance(value, BaseModel):
        return _plain(value.model_dump(mode="json"))
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redact(str(value))
