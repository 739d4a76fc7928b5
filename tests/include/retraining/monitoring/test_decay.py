"""Whether a champion has decayed, by the grades in a store."""

from __future__ import annotations

import pytest

from include.retraining.monitoring import decay
from include.retraining.monitoring.decay import judge_decay
from include.retraining.monitoring.windows import State
from include.retraining.registry.promotion import Registry
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.planted_grades import plant_grades
from tests.support.run_factory import MODEL, decide, plant_run, version_name

GOOD, BAD = 0.85, 0.70


@pytest.fixture
def store(folder_store: Store) -> Store:
    """An initialised store with two promotions."""
    store = initialise(folder_store.uri, {})
    for number in (1, 2):
        decide(store, plant_run(store, number))
    return store


def champion(store: Store) -> decay.PromotionEntry:
    """The model's newest promotion."""
    entry = Registry(store, MODEL).log.champion()
    assert entry is not None
    return entry


@pytest.mark.parametrize(
    ("scores", "state"),
    [
        ((), State.CANNOT_JUDGE),
        ((GOOD,), State.HEALTHY),
        ((GOOD, BAD), State.HEALTHY),
        ((BAD, BAD), State.DECAYED),
        ((BAD, BAD, GOOD), State.HEALTHY),
        ((BAD, GOOD, BAD), State.HEALTHY),
        ((BAD, BAD, None), State.CANNOT_JUDGE),
        ((BAD, None, BAD), State.CANNOT_JUDGE),
    ],
)
def test_twice_in_a_row_worse_than_promised_is_a_decay(
    store: Store, scores: tuple[float | None, ...], state: State
) -> None:
    """Once is a bad day, what passed is none, and a gap between two is no answer."""
    entry = champion(store)
    plant_grades(store, entry, *scores)
    judgement = judge_decay(store, entry)
    assert judgement.state is state
    assert (judgement.seen_at is None) is (not scores)


def test_the_reason_has_each_score_and_the_promise(store: Store) -> None:
    """Whoever reads it needs no other document."""
    entry = champion(store)
    plant_grades(store, entry, BAD, 0.71)
    assert judge_decay(store, entry).why == (
        "2 of the last 2, the newest included: "
        "20260201T060000-run-0 at 2026-02-01 06:00 UTC, roc auc 0.70, promised 0.85; "
        "20260202T060000-run-1 at 2026-02-02 06:00 UTC, roc auc 0.71, promised 0.85"
    )


def test_grades_of_before_it_served_again_do_not_count(store: Store) -> None:
    """After a rollback the version starts anew, whatever it had scored the last time."""
    first = Registry(store, MODEL).log.entry(1)
    plant_grades(store, first, BAD, BAD)
    assert judge_decay(store, first).state is State.DECAYED
    Registry(store, MODEL).rollback(version_name(1), actor="ann", reason="planted")
    assert judge_decay(store, champion(store)).state is State.CANNOT_JUDGE


def test_one_source_makes_up_for_another_that_cannot_be_judged(store: Store) -> None:
    """A decay by any labels is one, and health by any is no blindness."""
    entry = champion(store)
    plant_grades(store, entry, None)
    plant_grades(store, entry, GOOD, source="labels")
    assert judge_decay(store, entry).state is State.HEALTHY
    plant_grades(store, entry, BAD, BAD, source="labels", first=1)
    assert judge_decay(store, entry).state is State.DECAYED
