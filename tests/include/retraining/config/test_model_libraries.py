"""A model's imports are held against the locks that count for it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from include.retraining.config.model_code import load_model_code
from include.retraining.exceptions import ConfigError
from tests.support import apples
from tests.support.extras import lock

pytest_plugins = ("tests.support.apples_fixtures", "tests.support.extras_fixtures")


def problem_of(apples_file: Path, line: str, **training: object) -> str | None:
    """Return what is told of the apples model with one line more in its file."""
    apples_file.write_text(f"{apples.CODE}\n{line}\n")
    changes = {f"training.{name}": value for name, value in training.items()}
    try:
        load_model_code(apples.config(changes))
    except ConfigError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    "line",
    [
        "import numpy as np",
        "from sklearn.ensemble import RandomForestClassifier",
        "import yaml",
        "import json, collections.abc",
        "from include.retraining.data.labels import is_class",
    ],
)
def test_what_every_model_has_needs_no_extra(apples_file: Path, line: str) -> None:
    """The training lock, the standard library and our own code may be imported."""
    assert problem_of(apples_file, line) is None


@pytest.mark.parametrize("line", ["import httpx", "def f():\n    from httpx import Client"])
def test_a_library_of_no_lock_of_the_model_is_refused(
    apples_file: Path, extras_folder: Path, line: str
) -> None:
    """Installed or not: an upgrade of it would not train the model again."""
    assert problem_of(apples_file, line) == (
        "include/models/apples.py: imports httpx, and no lock of this model pins it, so that an "
        "upgrade would not train it again: `make extra NAME=httpx` locks and installs it; then "
        "write `extras: [httpx]` below `training` in its YAML (docs/extras.md)"
    )


def test_an_extra_that_brings_it_is_named(apples_file: Path, extras_folder: Path) -> None:
    """Where a lock is there already, its name is all that is missing; with it all is well."""
    (extras_folder / "web.txt").write_text(lock(f"httpx=={version('httpx')}"))
    told = problem_of(apples_file, "import httpx")
    assert told is not None
    assert told.endswith("write `extras: [web]` below `training` in its YAML")
    assert problem_of(apples_file, "import httpx", extras=["web"]) is None


def test_a_library_may_be_named_otherwise_than_its_module(
    apples_file: Path, extras_folder: Path
) -> None:
    """What counts is which library brings the module."""
    (extras_folder / "tokens.txt").write_text(lock(f"pyjwt=={version('PyJWT')}"))
    assert problem_of(apples_file, "import jwt", extras=["tokens"]) is None


def test_a_module_that_is_not_here_is_told_with_the_way_to_it(
    apples_file: Path, extras_folder: Path
) -> None:
    """The error of the import says what to do about it."""
    told = problem_of(apples_file, "import no_such_library")
    assert told is not None
    assert "cannot be imported: ModuleNotFoundError" in told
    assert "`make extra NAME=no-such-library` locks and installs it" in told


def test_an_extra_that_is_not_installed_is_told_before_the_import(
    apples_file: Path, extras_folder: Path
) -> None:
    """A worker or an image that lacks it says so, and how to get it, before anything is trained."""
    (extras_folder / "trees.txt").write_text(lock("no-such-library==1.0"))
    told = problem_of(apples_file, "import no_such_library", extras=["trees"])
    assert told == (
        "include/models/apples.yaml: training.extras: trees: no-such-library 1.0 is not installed "
        "here: run `make extra NAME=trees` on a worker, or build the image again from this commit "
        "(docs/extras.md)"
    )
