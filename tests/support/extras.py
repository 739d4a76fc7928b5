"""Locks of extras for tests."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

LIBRARIES = ("lightgbm", "xgboost-cpu")
"""Extras of one library each, which the tests train with."""


def lock(*pins: str) -> str:
    """Return a lock as `uv pip compile` writes it."""
    return "".join(
        f"{pin} \\\n    --hash=sha256:{'0' * 64}\n    # via -r include/extras/any.in\n"
        for pin in pins
    )


def lock_of(extra: str) -> str:
    """Return the lock of an extra in the versions that are installed here."""
    return lock(*(f"{name}=={version(name)}" for name in (extra, "numpy")))


def locked_with_hashes(*libraries: str) -> str:
    """Return a lock of some libraries with the hashes of our own, as `make extra` would make it."""
    ours = Path(__file__).resolve().parents[2] / "requirements-dev.txt"
    blocks = re.split(r"\n(?=\S)", ours.read_text(encoding="utf-8"))
    chosen = [block for block in blocks if block.partition("==")[0] in libraries]
    assert {block.partition("==")[0] for block in chosen} == set(libraries)
    return "\n".join(chosen) + "\n"
