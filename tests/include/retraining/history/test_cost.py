"""What a question about a run costs does not depend on how many runs there were."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from include.retraining.decisions.record import Outcome
from include.retraining.exceptions import NotFound
from include.retraining.history.audit import audit
from include.retraining.history.explain import why
from include.retraining.history.lookup import find_run, run_state
from include.retraining.history.overview import OverviewCache, summarize_model
from include.retraining.runs.journal import record_run_start
from include.retraining.runs.manifest import read_manifest
from include.retraining.runs.reference import RunRef
from include.retraining.steps import plan
from include.retraining.steps.close_run import close_run
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.counting_store import CountingStore
from tests.support.run_factory import MODEL, plant_run, run_ref

NOW = datetime.now(UTC)
PAST = (5, 60)
"""How many older runs there are beside the newest, in the two stores that are compared."""


def run_of(days: int) -> RunRef:
    """The run that was due so many days ago."""
    due = (NOW - timedelta(days=days)).replace(microsecond=0)
    ref = run_ref(1)
    return RunRef(MODEL, ref.dag_id, f"scheduled__{due.isoformat()}", due, 0, ref.cause)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[CountingStore]:
    """A store with few older runs and one with many; all of them long ago, the newest today."""
    found = []
    for older in PAST:
        folder = tmp_path_factory.mktemp(f"store-{older}")
        store = CountingStore(initialise(folder.as_uri(), {}).uri)
        for days in [*range(300, 300 + older), 1]:
            run = run_of(days)
            record_run_start(store, run, airflow="http://here")
            close_run(store, run, Outcome.NO_CHANGE, "nothing changed")
            path = store.local_path(run.paths.decision(0))
            assert path is not None
            written = (NOW - timedelta(days=days)).timestamp()
            os.utime(path, (written, written))
        plant_run(store, 1)
        for info in store.children("watch/open")[1]:
            store.delete(info.key)
        found.append(store)
    return found


ASKED: dict[str, Callable[[Store], object]] = {
    "show by its id": lambda store: run_state(store, find_run(store, run_of(1).run_id, MODEL)),
    "show the oldest by its name": lambda store: run_state(
        store, find_run(store, run_of(300).paths.run, MODEL)
    ),
    "why": lambda store: why(store, MODEL),
    "why on a day": lambda store: why(store, MODEL, run_of(1).run_after.date()),
    "the audit of a day": lambda store: audit(
        store, [MODEL], NOW - timedelta(days=2), NOW + timedelta(days=1)
    ),
    "the pages": lambda store: summarize_model(store, MODEL, entries=12),
    "one of many models": lambda store: OverviewCache().get(store, MODEL, entries=12),
    "plan_run, of a version that was trained": lambda store: [
        plan.unchanged(store, read_manifest(store, run_ref(1).paths)),
        plan.why_judged_again(store, read_manifest(store, run_ref(1).paths)),
    ],
}


@pytest.mark.parametrize("name", ASKED)
def test_a_question_about_what_is_new_costs_the_same(
    stores: list[CountingStore], name: str
) -> None:
    """However many runs there were long ago."""
    costs, answers = [], []
    for store in stores:
        store.counts.clear()
        answers.append(ASKED[name](store))
        costs.append(dict(store.counts))
    assert answers[0]
    assert costs[0] == costs[1]
    assert sum(costs[0].values()) < 30


def test_a_run_of_any_age_is_found(stores: list[CountingStore]) -> None:
    """By its id or its name; one that goes on by what follows it; what is not there is not."""
    store = stores[1]
    old = run_of(350)
    assert find_run(store, old.run_id).run == old.paths.run
    assert find_run(store, old.paths.run, MODEL).run == old.paths.run
    with pytest.raises(NotFound, match="no run"):
        find_run(store, "scheduled__never", MODEL)
    with pytest.raises(NotFound, match="no run"):
        find_run(store, run_of(700).paths.run, MODEL)
    begun = run_of(0)
    record_run_start(store, begun, airflow="http://here")
    store.counts.clear()
    assert find_run(store, begun.run_id, MODEL).run == begun.paths.run
    assert store.counts == {"LIST": 1, "HEAD": 1}


def test_a_day_is_told_by_the_newest_decision_on_it(stores: list[CountingStore]) -> None:
    """Also one of long ago, and a day without one is said to have none."""
    day = run_of(320).run_after.date()
    assert f"{day:%Y-%m-%d}" in why(stores[1], MODEL, day)
    with pytest.raises(NotFound, match="no run for"):
        why(stores[1], MODEL, date.fromordinal(NOW.toordinal() - 100))
