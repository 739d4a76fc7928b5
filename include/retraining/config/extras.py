"""Extras: libraries that not every model needs, each extra with a lock of its own.

`include/extras/NAME.txt` is the lock; `make extra NAME=…` writes and installs it. A model names its
extras in `training.extras`, and only those count for its fingerprint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as library_version
from pathlib import Path

from include.retraining.exceptions import ConfigError

EXTRAS_FOLDER = Path(__file__).parents[2] / "extras"
SHARED_LOCK = Path(__file__).parents[1] / "training" / "requirements.txt"
"""What every model may import: its libraries are in every fingerprint already."""
PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?")


def extra_names() -> list[str]:
    """Return the names of all extras, sorted."""
    return sorted(path.stem for path in EXTRAS_FOLDER.glob("*.txt"))


def read_extra(name: str) -> bytes:
    """Return the lock of an extra.

    Raises:
        ConfigError: when there is none, naming those there are.
    """
    try:
        return (EXTRAS_FOLDER / f"{name}.txt").read_bytes()
    except FileNotFoundError as error:
        raise ConfigError(
            f"training.extras: include/extras/{name}.txt is missing (there are: "
            f"{', '.join(extra_names()) or 'none'}): `make extra NAME={name}` makes it"
        ) from error


def pins(lock: bytes) -> dict[str, str]:
    """Return the libraries that a lock installs here, by normalised name, with their versions.

    Args:
        lock: as `uv pip compile` writes it.
    """
    from packaging.markers import Marker

    lines = lock.decode().splitlines()
    pinned = (match.groups() for line in lines if (match := PIN.fullmatch(line)))
    return {
        normalised(name): version
        for name, version, marker in pinned
        if marker is None or Marker(marker).evaluate()
    }


def normalised(name: str) -> str:
    """Return a library's name as package indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def own_pins(name: str) -> dict[str, str]:
    """Return what an extra adds to the libraries that every model has, by name.

    Raises:
        ConfigError: when there is no such extra.
    """
    shared = pins(SHARED_LOCK.read_bytes())
    return {
        library: version
        for library, version in pins(read_extra(name)).items()
        if library not in shared
    }


def check_installed(extras: Iterable[str]) -> None:
    """Refuse to go on without the libraries of some extras, in the versions of their locks.

    Raises:
        ConfigError: naming each library that is missing or of another version, and what to do.
    """
    for name in extras:
        differing = list(_differing(own_pins(name)))
        if differing:
            raise ConfigError(
                f"training.extras: {name}: {', '.join(differing)}: run `make extra NAME={name}` on "
                "a worker, or build the image again from this commit (docs/extras.md)"
            )


def missing_libraries(pinned: Iterable[str]) -> list[str]:
    """Return those of some pins, each like `lightgbm==4.6.0`, of which no version is here."""
    return [pin for pin in pinned if _version_here(pin.partition("==")[0]) is None]


def _differing(wanted: dict[str, str]) -> Iterator[str]:
    for library, version in wanted.items():
        here = _version_here(library)
        if here is None:
            yield f"{library} {version} is not installed here"
        elif here != version:
            yield f"{library} is {here} here and {version} in its lock"


def _version_here(library: str) -> str | None:
    try:
        return library_version(library)
    except PackageNotFoundError:
        return None
