"""Markdown that shows text from data and configuration literally, special characters included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

NOTHING = "-"
"""A cell without a value."""

_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#~$!^])")
_NUMBER = re.compile(r"(\*\*)?[-+]?[\d,.]*( ?%| ms| MB)?(\*\*)?")


def escaped(text: object) -> str:
    """Return text so that Markdown shows it as it is, on one line: no markup, no link, no HTML."""
    line = " ".join(str(text).split())
    line = _MARKUP.sub(r"\\\1", "".join(char for char in line if char.isprintable()))
    line = line.replace("&", "&amp;").replace("://", ":\\//").replace("@", "\\@")
    return re.sub(r"(?i)\bwww\.", r"www\\.", line)


def code(text: object) -> str:
    """Return a name or an address between backticks."""
    plain = "".join(char for char in " ".join(str(text).split()) if char.isprintable())
    return f"`{plain.replace('`', chr(39)).replace('|', '/')}`"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are escaped already; columns of numbers stand to the right."""
    body = [list(row) for row in rows]
    aligned = [
        "---:" if body and all(_NUMBER.fullmatch(row[place]) for row in body) else "---"
        for place in range(len(columns))
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in [list(columns), aligned, *body])
