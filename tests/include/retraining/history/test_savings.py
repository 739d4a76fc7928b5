"""What was saved because nothing had changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.retraining.decisions.record import Outcome
from include.retraining.decisions.record_files import decision_keys
from include.retraining.decisions.records import decisions
from include.retraining.exceptions import MissingObject
from include.retraining.history.savings import Tally
from include.retraining.store.object_store import Store
from tests.support.large_store import crowded_store

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two models with fifteen decisions each."""
    return crowded_store((tmp_path / "s").as_uri(), models=2, decisions=30, first=("aa", "bb"))


def expected(store: Store, model: str, since: datetime = LONG_AGO) -> tuple[int, float]:
    """Runs and seconds saved, in the simplest words."""
    runs, seconds, last = 0, 0.0, 0.0
    for record in reversed(list(decisions(store, model))):
        cost = sum(used.seconds or 0 for used in record.compute.values())
        if record.run_after >= since and record.outcome is Outcome.NO_CHANGE:
            runs, seconds = runs + 1, seconds + last
        last = cost or last
    return runs, seconds


def test_a_run_that_trained_nothing_saves_what_the_one_before_took(store: Store) -> None:
    """Over all models, each by its own runs."""
    saved = Tally().count(store, ("aa", "bb"), LONG_AGO, patience_seconds=60)
    told = [expected(store, name) for name in ("aa", "bb")]
    assert saved.runs == sum(runs for runs, _ in told) > 0
    assert saved.seconds == pytest.approx(sum(seconds for _, seconds in told))
    assert (saved.counted, saved.all_runs) == (30, 30)


def test_only_runs_since_a_time_count(store: Store) -> None:
    """The runs of the last days, by when they were due."""
    since = datetime.now(UTC) - timedelta(days=5)
    saved = Tally().count(store, ("aa",), since, patience_seconds=60)
    assert saved.all_runs == sum(record.run_after >= since for record in decisions(store, "aa"))
    assert saved.runs == expected(store, "aa", since)[0]


def test_what_is_not_read_yet_is_said_to_be(store: Store) -> None:
    """A reader who has no patience gets what is known, and the next one gets the rest."""
    tally = Tally(readers=1)
    first = tally.count(store, ("aa", "bb"), LONG_AGO, patience_seconds=0)
    assert first.all_runs == 30
    assert first.counted <= 30
    assert tally.count(store, ("aa", "bb"), LONG_AGO, patience_seconds=60).counted == 30


def test_a_record_is_read_once_and_again_where_the_store_failed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that the store did not give is asked for the next time."""
    tally, keys = Tally(), decision_keys(store, "aa")
    read = Store.read
    asked: list[str] = []

    def counting(self: Store, key: str) -> bytes:
        asked.append(key)
        if key == keys[0] and asked.count(key) == 1:
            raise MissingObject("for a moment")
        return read(self, key)

    monkeypatch.setattr(Store, "read", counting)
    assert tally.count(store, ("aa",), LONG_AGO, patience_seconds=60).counted == 14
    assert tally.count(store, ("aa",), LONG_AGO, patience_seconds=60).counted == 15
    assert len(asked) == 16


def test_a_record_that_cannot_be_read_saves_nothing(store: Store) -> None:
    """It is counted, so that the tally ends."""
    store.write(decision_keys(store, "aa")[0], b"[1, 2")
    store.write(decision_keys(store, "aa")[1], b"[1, 2]")
    assert Tally().count(store, ("aa",), LONG_AGO, patience_seconds=60).counted == 15
