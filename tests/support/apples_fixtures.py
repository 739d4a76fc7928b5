"""The apples model, importable as a real one is, and an initialised store."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import include.models
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import OPTIONS_VARIABLE, Store
from tests.support import apples


@pytest.fixture
def apples_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The Python file of the apples model, which `include.models.apples` is imported from."""
    folder = tmp_path / "models"
    folder.mkdir()
    path = folder / f"{apples.NAME}.py"
    path.write_text(apples.CODE)
    monkeypatch.setattr(include.models, "__path__", [*include.models.__path__, str(folder)])
    module = f"include.models.{apples.NAME}"
    sys.modules.pop(module, None)
    yield path
    sys.modules.pop(module, None)
    vars(include.models).pop(apples.NAME, None)


@pytest.fixture
def apples_store(any_store: Store, apples_file: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An initialised store, on a folder and on S3, whose options are in the environment."""
    monkeypatch.setenv(OPTIONS_VARIABLE, json.dumps(any_store.options))
    return initialise(any_store.uri, any_store.options)


@pytest.fixture
def apples_folder(folder_store: Store, apples_file: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An initialised store on a folder."""
    monkeypatch.setenv(OPTIONS_VARIABLE, "{}")
    return initialise(folder_store.uri)
