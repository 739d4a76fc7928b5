"""How a version in another language predicts, as its manifest names it."""

from __future__ import annotations

from include.retraining.config.command_protocol import Tables
from include.retraining.documents import Document


class PredictCommand(Document):
    """How a version in another language predicts: a command, run beside the scripts it brings."""

    format: int
    """Of the files through which the command is asked (docs/any-language.md)."""
    tables: Tables = "csv"
    """How their tables are written."""
    command: tuple[str, ...]
    """Program and arguments."""
    positive: int | str | None
    """For a binary problem, the class whose probability it gives."""
