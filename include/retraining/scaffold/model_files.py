"""Writing a model's two files: both or none, and never over a file that is there."""

from __future__ import annotations

import keyword
import os
import re
from contextlib import suppress
from pathlib import Path

from include.retraining.config.base import NAME_PATTERN
from include.retraining.exceptions import ConfigError


def require_free_name(name: str, folder: Path) -> None:
    """Refuse a name that is none for a model, or that is taken.

    Raises:
        ConfigError: saying which names are allowed, or what is there.
    """
    if not re.fullmatch(NAME_PATTERN, name) or keyword.iskeyword(name):
        raise ConfigError(
            f"{name[:60]!r} is no name for a model: small letters, digits and '_', beginning with "
            "a letter, 2 to 48 characters, and no word of Python"
        )
    for there in (f"{name}.yaml", f"{name}.py", name):
        if (folder / there).exists() or (folder / there).is_symlink():
            raise ConfigError(
                f"include/models/{there} is there already, and nothing is overwritten: choose "
                "another name, or remove it first"
            )


def write_model_files(name: str, folder: Path, *, yaml: str, python: str) -> None:
    """Write NAME.py and then NAME.yaml, which makes it a model.

    Each is written under a hidden name and gets its own once it is whole.

    Raises:
        ConfigError: when one is there by now, or the folder cannot be written to; then neither is.
    """
    require_free_name(name, folder)
    placed: list[Path] = []
    try:
        for file, text in ((f"{name}.py", python), (f"{name}.yaml", yaml)):
            _place(folder / file, text)
            placed.append(folder / file)
    except OSError as error:
        for path in placed:
            path.unlink()
        raise ConfigError(
            f"include/models/{name}: cannot be written: {error.strerror or error}; nothing was"
        ) from error


def _place(path: Path, text: str) -> None:
    hidden = path.with_name(f".{path.name}.new")
    try:
        hidden.write_text(text, encoding="utf-8")
        os.link(hidden, path)  # unlike a rename, it fails where the name is taken
    finally:
        with suppress(OSError):
            hidden.unlink()
