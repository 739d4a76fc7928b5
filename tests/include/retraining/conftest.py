"""Initialised stores, and toy models for the tests of the steps."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import include.models
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.toy_models import Toy, make_frame


@pytest.fixture
def store(any_store: Store) -> Store:
    """An initialised store, on a folder and on S3."""
    return initialise(any_store.uri, any_store.options)


@pytest.fixture
def folder(folder_store: Store) -> Store:
    """An initialised store on a folder."""
    return initialise(folder_store.uri)


@pytest.fixture
def make_toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Toy]]:
    """Makes a model that is importable as a real one is, with a delivery in an initialised store.

    `make_toy(problem, store=…, SECTION={…})`: what its YAML says otherwise, by section.
    """
    models = tmp_path / "models"
    models.mkdir()
    monkeypatch.setattr(include.models, "__path__", [*include.models.__path__, str(models)])
    made = []

    def make(problem: str = "binary", *, store: Store | None = None, **changes: Any) -> Toy:
        name = f"toy_{uuid.uuid4().hex[:8]}"
        if store is None:
            place = initialise(f"file://{tmp_path / f'{name}_store'}")
        else:
            place = initialise(store.uri, store.options)
        toy = Toy(place, models, name, problem, changes)
        toy.write_model()
        toy.deliver(make_frame(problem))
        made.append(name)
        return toy

    yield make
    for name in made:
        sys.modules.pop(f"include.models.{name}", None)
        vars(include.models).pop(name, None)
