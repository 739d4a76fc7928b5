"""One sentence that answers why a model was or was not updated."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from include.retraining.decisions.record import Outcome
from include.retraining.exceptions import NotFound
from include.retraining.history.explain import why
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.steps.close_run import close_run
from include.retraining.store.layout import promotion_key
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.run_factory import MODEL, decide, plant_run, run_ref, saved_model, version_name


@pytest.fixture
def store(folder_store: Store) -> Store:
    """An initialised store on a folder."""
    return initialise(folder_store.uri, {})


def test_before_any_run(store: Store) -> None:
    """A model without runs is said to have none."""
    assert why(store, MODEL) == "No run of toy_model has ended yet; nothing serves yet."


def test_a_promotion(store: Store) -> None:
    """After a promotion the sentence says by which run, why, and what serves since when."""
    decide(store, plant_run(store, 1))
    since = PromotionLog(store, MODEL).champion().created_at  # type: ignore[union-attr]
    assert why(store, MODEL) == (
        "toy_model was updated by the run of 2026-01-02 06:00 UTC: accuracy is 0.86 against "
        "the naive baseline's 0.60, and all 11 gates pass; "
        f"version {version_name(1)} (generation 1) serves since {since:%Y-%m-%d %H:%M} UTC."
    )


def test_a_refusal(store: Store) -> None:
    """After a refusal it says what was lacking and what serves in its place."""
    decide(store, plant_run(store, 1))
    decide(store, plant_run(store, 2, report={"fairness.0.disparate_impact": 0.71}))
    sentence = why(store, MODEL)
    assert (
        "was not updated by the run of 2026-01-03 06:00 UTC, the new version was refused: "
    ) in sentence
    assert "is 0.71 of the most favoured one's, must be at least 0.80" in sentence
    assert f"version {version_name(1)} (generation 1) serves since" in sentence


@pytest.mark.parametrize("outcome", [item for item in Outcome if item is not Outcome.PROMOTED])
def test_every_other_end(store: Store, outcome: Outcome) -> None:
    """Every end of a run has words of its own, on one line."""
    close_run(store, run_ref(1), outcome, "the reason.")
    sentence = why(store, MODEL)
    assert sentence.startswith("toy_model was not updated by the run of ")
    assert sentence.endswith(": the reason; nothing serves yet.")
    assert "\n" not in sentence


def test_a_day(store: Store) -> None:
    """A day is that of the data or that on which the run was due."""
    decide(store, plant_run(store, 1, date=date(2025, 12, 31)))
    decide(store, plant_run(store, 2))
    for day in (date(2025, 12, 31), date(2026, 1, 2)):
        assert "by the run of 2026-01-02" in why(store, MODEL, day)
    assert "by the run of 2026-01-03" in why(store, MODEL, date(2026, 1, 3))
    with pytest.raises(NotFound, match="no run for 2026-02-01"):
        why(store, MODEL, date(2026, 2, 1))


def test_after_a_rollback(store: Store) -> None:
    """What serves is what the log says now, also after a rollback."""
    for day in (1, 2):
        decide(store, plant_run(store, day))
    registry = Registry(store, MODEL)
    entry = registry.rollback(version_name(1), actor="ann", reason="complaints")
    since = f"{entry.created_at:%Y-%m-%d %H:%M} UTC"
    answer = why(store, MODEL)
    assert answer.startswith(
        f"toy_model is on hold: ann rolled it back to version {version_name(1)} at {since} "
        "(complaints), and no run promotes until that is released with `release_model` in Airflow "
        "or `release toy_model --reason …`. toy_model was updated by the run of 2026-01-03"
    )
    assert answer.endswith(
        f"version {version_name(1)} (generation 3) serves since {since}, by a rollback of ann."
    )
    assert why(store, MODEL, date(2026, 1, 2)).startswith("toy_model is on hold: ann")


def test_a_run_that_a_hold_kept_from_serving(store: Store) -> None:
    """The hold is said once, first."""
    for day in (1, 2):
        decide(store, plant_run(store, day))
    Registry(store, MODEL).rollback(version_name(1), actor="ann", reason="complaints")
    decide(store, plant_run(store, 3))
    answer = why(store, MODEL)
    assert answer.count("complaints") == 1
    assert (
        "was not updated by the run of 2026-01-04 06:00 UTC, automatic promotion is on hold"
    ) in answer


def test_after_a_release(store: Store) -> None:
    """A release ends the hold, and what serves has served since the rollback."""
    for day in (1, 2):
        decide(store, plant_run(store, day))
    registry = Registry(store, MODEL)
    rollback = registry.rollback(version_name(1), actor="ann", reason="complaints")
    release = registry.release(actor="bob", reason="mended")
    earlier = rollback.model_copy(update={"created_at": rollback.created_at - timedelta(days=2)})
    store.write(promotion_key(MODEL, 3), earlier.to_bytes())
    chained = release.model_copy(update={"previous_sha256": earlier.content_digest})
    store.write(promotion_key(MODEL, 4), chained.to_bytes())
    answer = why(store, MODEL)
    assert answer.startswith("toy_model was updated by the run of 2026-01-03")
    since = f"{earlier.created_at:%Y-%m-%d %H:%M} UTC"
    assert answer.endswith(f"(generation 4) serves since {since}, by a rollback of ann.")


def test_after_an_unjudged_promotion(store: Store) -> None:
    """That nobody judged what serves is said."""
    for day in (1, 2):
        decide(store, plant_run(store, day, model_bytes=saved_model()))
    Registry(store, MODEL).promote_unjudged(version_name(1), actor="ann", reason="files are lost")
    assert why(store, MODEL).endswith(", by an unjudged promotion of ann.")
