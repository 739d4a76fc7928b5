"""Judging the last runs again by other rules."""

from __future__ import annotations

import pytest

from include.retraining.decisions.record import Outcome
from include.retraining.maintenance.replay import replay
from include.retraining.steps.close_run import close_run
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.gate_checks import make_policy
from tests.support.run_factory import CONFIG, MODEL, decide, plant_run, run_ref


@pytest.fixture
def store(folder_store: Store) -> Store:
    """A store with a promoted, a refused, an unplanned and an unjudgeable run."""
    made = initialise(folder_store.uri, {})
    decide(made, plant_run(made, 1))
    decide(made, plant_run(made, 2, report={"fairness.0.disparate_impact": 0.75}))
    close_run(made, run_ref(3), Outcome.NO_DATA, "no flag")
    lost = {"champion.error": "lost", "champion.scores": None}
    decide(made, plant_run(made, 4, report=lost))
    return made


def test_the_same_rules_flip_nothing(store: Store) -> None:
    """Judged again by the rules it was judged by, every run gets the answer that it got."""
    found = replay(store, MODEL, CONFIG.gates)
    assert [item.before.value for item in found] == ["cannot_judge", "fail", "pass"]
    assert not any(item.flips for item in found)


def test_other_rules_flip_some(store: Store) -> None:
    """A weaker rule lets the refused run pass, a stronger one refuses the promoted one."""
    weaker = replay(store, MODEL, make_policy({"fairness.0.min_disparate_impact": 0.7}))
    assert [item.flips for item in weaker] == [False, True, False]
    assert weaker[1].after.value == "pass"
    stronger = replay(store, MODEL, make_policy({"minimum.accuracy": 0.9}))
    assert [item.after.value for item in stronger] == ["cannot_judge", "fail", "fail"]
    assert "must be at least 0.90" in stronger[2].headline


def test_what_was_not_measured_cannot_be_judged(store: Store) -> None:
    """Rules that ask for a metric that was not measured then cannot be judged."""
    found = replay(store, MODEL, make_policy({"minimum.recall": 0.5}))
    assert {item.after.value for item in found} == {"cannot_judge"}


def test_the_limit_counts_judged_runs(store: Store) -> None:
    """Runs without an evaluation do not count towards the limit."""
    assert len(replay(store, MODEL, CONFIG.gates, limit=2)) == 2
