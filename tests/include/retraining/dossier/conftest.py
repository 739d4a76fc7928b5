"""A store with something to document."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.run_factory import decide, plant_run, saved_model


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store in which two versions were promoted, the second against the first."""
    made = initialise(f"file://{tmp_path}", {})
    for day in (1, 2):
        decide(made, plant_run(made, day, model_bytes=saved_model()))
    return made
