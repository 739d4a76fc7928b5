"""Secrets that Airflow does not mask, or that are none: refused before anything starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from include.retraining.store.secret_names import is_secret_name

MIN_LENGTH = 8
# Examples from documentation, and the word that Airflow's masker skips on purpose.
_KNOWN = frozenset({
    "airflow",
    "password",
    "passwort",
    "changeme",
    "changeit",
    "secret",
    "admin",
    "webhook",
})
_PLACEHOLDER = re.compile(r"…|\.\.\.|^<.*>$|^\$?\{.*\}$|^(?:your|my|replace|example)[_\W]", re.I)
_SWITCHES = frozenset({"true", "false"})


def weakness(secret: str) -> str | None:
    """Describe what is wrong with a secret, without showing it; None when it is strong enough."""
    plain = re.sub(r"[\W_\d]", "", secret).lower()
    if plain in _KNOWN:
        return "is a well-known word, which Airflow may not mask"
    if _PLACEHOLDER.search(secret):
        return "is a placeholder: put the real value in its place"
    if len(secret) < MIN_LENGTH:
        return f"has under {MIN_LENGTH} characters: it could not be masked without masking words"
    return None


def weak_fields(connection: Any) -> list[str]:
    """Return what is wrong with the secrets of an Airflow connection, by field."""
    problems = [
        (name, problem)
        for name, value in _secrets(connection)
        if (problem := weakness(value)) is not None
    ]
    return [f"its {name} {problem}" for name, problem in problems]


def _secrets(connection: Any) -> Iterator[tuple[str, str]]:
    if connection.password:
        yield "password", connection.password
    yield from _in_mapping("extra", connection.extra_dejson)


def _in_mapping(where: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _in_mapping(f"{where}.{name}", value)
        elif isinstance(value, str) and is_secret_name(name) and not _is_none(value):
            yield f"{where}.{name}", value


def _is_none(value: str) -> bool:
    """Return whether a setting with a secret's name holds none: a switch, or the path to a file."""
    return not value or value.lower() in _SWITCHES or value.startswith("/")
