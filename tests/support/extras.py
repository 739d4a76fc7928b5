"""Locks of extras for tests."""

from __future__ import annotations

from importlib.metadata import version

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
