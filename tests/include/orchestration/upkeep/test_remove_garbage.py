"""The store is cleaned over all models, and one that is damaged holds no other back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.orchestration.upkeep.remove_garbage import remove_garbage
from include.retraining.maintenance import gc
from include.retraining.store.layout import promotion_key
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.run_callbacks import run_in
from tests.support.run_factory import MODEL, decide, plant_run, plant_version


@pytest.fixture
def versions(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A model with a champion and twelve versions of two days ago that never served."""
    monkeypatch.setattr(gc, "SETTLE_SECONDS", 0)
    decide(store, plant_run(store, 1))
    for day in range(2, 14):
        plant_version(store, day)
    root = store.local_path("")
    assert root is not None
    before = time.time() - 2 * 86400
    for file in (path for path in Path(root).rglob("*") if path.is_file()):
        os.utime(file, (before, before))
    return store


def versions_in(store: Store) -> int:
    """Return how many versions of the model are in the store."""
    return len({info.key.split("/")[3] for info in store.objects(f"models/{MODEL}/versions/")})


def test_old_versions_go_and_the_champion_stays(versions: Store, context: MakeContext) -> None:
    """Ten of the newest stay as well."""
    done = run_in(context(task_id="remove_garbage"), remove_garbage)
    assert done.startswith("removed ")
    assert versions_in(versions) == 11


def test_a_damaged_log_keeps_its_own_model_and_the_others_are_cleaned(
    versions: Store, context: MakeContext
) -> None:
    """The task fails at the end, with the model's name."""
    versions.write(promotion_key("broken", 1), b"{")
    with pytest.raises(
        AirflowFailException, match=r"^removed \d+ objects .* not of every model: .*broken"
    ):
        run_in(context(task_id="remove_garbage"), remove_garbage)
    assert versions_in(versions) == 11
