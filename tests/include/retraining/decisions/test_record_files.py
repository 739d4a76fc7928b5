"""The newest records are found without a listing of all, wherever in time they lie."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from include.retraining.decisions.record_files import (
    correction_key,
    decision_keys,
    keys_of_run,
    newest_decision_keys,
    newest_listing,
)
from include.retraining.store.layout import RunPaths, decisions_folder, run_key
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.counting_store import CountingStore

MODEL = "toy_model"
AGES = [-1, 0, 1, 31, 33, 40, 250, 260, 2000, 2100, 3000]
"""In days: on both sides of each span's ends, and in the future."""


def key_of(days: float, run_id: str = "manual__1", clear: int = 0) -> str:
    """Return the key of the record of a run that was due so many days ago."""
    due = datetime.now(UTC) - timedelta(days=days)
    return RunPaths(MODEL, run_key(run_id, due)).decision(clear)


@pytest.fixture
def keys(store: Store) -> list[str]:
    """The keys of records of all ages, the newest first."""
    found = [key_of(days) for days in AGES]
    for key in found:
        store.write(key, b"{}")
    store.write(correction_key(found[3]), b"{}")
    store.write(f"{decisions_folder(MODEL)}/notes.txt", b"")
    return found


def test_the_newest_come_first_and_all_come(store: Store, keys: list[str]) -> None:
    """Each once, a correction with its record; what is no record is not among them."""
    assert list(newest_decision_keys(store, MODEL)) == decision_keys(store, MODEL) == keys
    assert list(newest_decision_keys(store, "another")) == []


@pytest.mark.parametrize("place", range(len(AGES)))
def test_they_may_begin_or_end_anywhere(store: Store, keys: list[str], place: int) -> None:
    """Behind one of them, and before a time."""
    assert list(newest_decision_keys(store, MODEL, before=keys[place])) == keys[place + 1 :]
    since = datetime.now(UTC) - timedelta(days=AGES[place], minutes=1)
    assert list(newest_decision_keys(store, MODEL, since=since)) == keys[: place + 1]


def test_a_model_that_rests_is_listed_where_its_records_are(store: Store) -> None:
    """However long ago that is."""
    assert newest_listing(store, MODEL) == []
    store.write(key_of(400), b"{}")
    store.write(key_of(401), b"{}")
    assert len(newest_listing(store, MODEL)) == 2
    store.write(key_of(1), b"{}")
    assert [info.key for info in newest_listing(store, MODEL)] == [key_of(1)]


def test_a_run_has_the_records_of_its_clears(store: Store) -> None:
    """And of no run whose name begins as its own does."""
    for key in (key_of(1), key_of(1, clear=1), key_of(1, "manual__11"), key_of(2)):
        store.write(key, b"{}")
    run = key_of(1).rpartition("/")[2].removesuffix(".000.json")
    assert keys_of_run(store, MODEL, run) == [key_of(1, clear=1), key_of(1)]


def test_records_may_be_left_out_by_when_they_were_written(store: Store, keys: list[str]) -> None:
    """By the store's clock, whatever they are about."""
    now = datetime.now(UTC)
    assert decision_keys(store, MODEL, written_since=now - timedelta(hours=1)) == keys
    assert decision_keys(store, MODEL, written_since=now + timedelta(hours=1)) == []


def test_the_newest_cost_the_same_however_many_there_were(folder_store: Store) -> None:
    """One page of a listing, for ten or for a thousand behind them."""
    store = CountingStore(initialise(folder_store.uri, {}).uri)
    costs = []
    for ages in (range(1, 12), range(40, 1100)):
        for days in ages:
            path = store.local_path(key_of(days))
            assert path is not None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"{}")
        store.counts.clear()
        assert len(list(islice(newest_decision_keys(store, MODEL), 10))) == 10
        costs.append(dict(store.counts))
    assert costs == [{"LIST": 1}] * 2
