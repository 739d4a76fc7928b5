"""The pages show what was scored last, by which version, and where a champion is published."""

from __future__ import annotations

from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from include.pages.champion_use import champion_use
from include.retraining.history.overview import summarize_model
from include.retraining.publishing.state import ModelState, TargetState, write_all, write_state
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.scoring.record import ScoreOutcome, write_record
from include.retraining.scoring.result import ScoredPartition
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.include.pages.conftest import Reader, connect
from tests.include.pages.test_app import text_of
from tests.support.run_factory import MODEL, decide, plant_run, run_ref, version_name

AT = datetime(2026, 1, 5, 6, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A model with two promotions, as the store of this Airflow."""
    made = initialise((tmp_path / "s").as_uri(), {})
    for number in (1, 2):
        decide(made, plant_run(made, number))
    connect(monkeypatch, made.uri)
    return made


def score(store: Store, version: str, outcome: ScoreOutcome = ScoreOutcome.SCORED) -> None:
    """Leave the record of a scoring run."""
    scored = ScoredPartition(
        name="2026-01-04",
        version=version,
        generation=PromotionLog(store, MODEL).head(),
        rows=1234,
        unknown={"region": 17},
        output="file:///scores/2026-01-04",
        number=1,
        sha256="a" * 64,
        was_there=False,
    )
    partitions = (scored,) if outcome is ScoreOutcome.SCORED else ()
    number = len(store.children(f"models/{MODEL}/scored")[1]) + 3
    write_record(store, run_ref(number), outcome, "the input is late", partitions=partitions)


def publish(store: Store, **targets: TargetState) -> ModelState:
    """Leave what is known of some targets."""
    state = ModelState(model=MODEL, generation=2, targets=targets)
    write_state(store, state)
    write_all(store, {}, {MODEL: state})
    return state


def target(generation: int = 2, **changes: Any) -> TargetState:
    """Return a target that took an entry of the log."""
    return TargetState(place="models:/toy@champion", generation=generation, since=AT, **changes)


def test_the_last_scores_are_shown_with_their_version(user: Reader, store: Store) -> None:
    """On the list and on the model's page, and that the champion has not scored yet."""
    score(store, version_name(1))
    assert ", by another version" in text_of(user.get("/models").text)
    text = text_of(user.get(f"/models/{MODEL}").text)
    assert "the input of 2026-01-04 : 1,234 rows" in text.replace("2026-01-04:", "2026-01-04 :")
    assert f"by version {version_name(1)}" in text
    assert "which is not the champion" in text
    assert "17 of them with values that it never saw" in text
    score(store, version_name(2))
    assert "another version" not in user.get("/models").text
    assert "which is not the champion" not in user.get(f"/models/{MODEL}").text


def test_a_scoring_run_that_failed_is_shown_beside_the_last_scores(
    user: Reader, store: Store
) -> None:
    """They are still those of before."""
    score(store, version_name(2))
    score(store, version_name(2), ScoreOutcome.FAILED)
    assert "; the last try failed" in text_of(user.get("/models").text)
    text = text_of(user.get(f"/models/{MODEL}").text)
    assert "1,234 rows" in text
    assert "The last try failed: the input is late" in text


def test_a_damaged_record_is_said_and_hides_nothing_else(user: Reader, store: Store) -> None:
    """The rest of the page is there."""
    score(store, version_name(2))
    (info,) = store.children(f"models/{MODEL}/scored")[1]
    store.write(info.key, b"half")
    text = text_of(user.get(f"/models/{MODEL}").text)
    assert "Last scored it cannot be read" in text
    assert "Promotion log" in text
    assert user.get("/models").status_code == 200


@pytest.mark.parametrize(
    ("known", "summary", "words"),
    [
        (target(), "has the champion", "has generation 2 since 2026-01-05 06:00 UTC"),
        (target(is_complete=False), "has the champion", "its card follows"),
        (target(1), "on its way", "has generation 1 since 2026-01-05 06:00 UTC, 2 is on its way"),
        (TargetState(place="x"), "on its way", "has nothing yet"),
        (target(differs="alias of 7", differs_since=AT), "differs", "someone else changed it"),
        (target(differs="alias of 7", is_set_back=True), "has the champion", "and was set back"),
        (target(problem="it is down", failing_since=AT), "fails", "it fails since 2026-01-05"),
    ],
)
def test_a_target_says_what_it_has_and_what_differs(
    user: Reader, store: Store, known: TargetState, summary: str, words: str
) -> None:
    """In a word on the list, and in full on the model's page; what is wrong is red."""
    state = publish(store, mlflow=known)
    (shown,) = champion_use(store, summarize_model(store, MODEL, entries=3), state).targets
    assert (shown.summary, shown.is_wrong) == (summary, summary in {"differs", "fails"})
    assert f"MLflow: {summary}" in text_of(user.get("/models").text)
    page = unescape(user.get(f"/models/{MODEL}").text)
    assert words in page
    assert (f'class="over">MLflow (<code>{known.place}' in page) == shown.is_wrong


def test_a_model_that_neither_scores_nor_publishes_has_no_rows_for_it(
    user: Reader, store: Store
) -> None:
    """Nothing is said of what is not asked for."""
    text = text_of(user.get(f"/models/{MODEL}").text)
    assert "Last scored" not in text
    assert "Published" not in text
