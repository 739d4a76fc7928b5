"""An empty folder in which extras are found, in place of `include/extras/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.retraining.config import extras, model_libraries


@pytest.fixture
def extras_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder in which extras are found."""
    folder = tmp_path / "extras"
    folder.mkdir()
    monkeypatch.setattr(extras, "EXTRAS_FOLDER", folder)
    model_libraries.installed_modules.cache_clear()
    yield folder
    model_libraries.installed_modules.cache_clear()
