"""A promotion that a rollback took back is known as such."""

from __future__ import annotations

import pytest

from include.retraining.decisions.record import DecisionRecord
from include.retraining.decisions.records import decisions
from include.retraining.history.undone import undone_by
from include.retraining.registry.promotion import Registry
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.run_factory import MODEL, decide, plant_run, version_name


@pytest.fixture
def store(folder_store: Store) -> Store:
    """Two promotions."""
    made = initialise(folder_store.uri, {})
    for number in (1, 2):
        decide(made, plant_run(made, number))
    return made


def of(store: Store) -> list[DecisionRecord]:
    """The decisions, the newest first."""
    return list(decisions(store, MODEL))


def test_only_the_promotion_that_was_rolled_back_is_undone(store: Store) -> None:
    """One that was followed by the next is not, and a release changes nothing."""
    assert [undone_by(store, record) for record in of(store)] == [None, None]
    registry = Registry(store, MODEL)
    rollback = registry.rollback(version_name(1), actor="ann", reason="bad", seen=2)
    registry.release(actor="ann", reason="repaired")
    assert [undone_by(store, record) for record in of(store)] == [rollback, None]


def test_what_serves_again_is_not_undone(store: Store) -> None:
    """A rollback that was rolled back itself."""
    registry = Registry(store, MODEL)
    registry.rollback(version_name(1), actor="ann", reason="bad", seen=2)
    registry.rollback(version_name(2), actor="bob", reason="it was not", seen=3)
    assert [undone_by(store, record) for record in of(store)] == [None, None]
