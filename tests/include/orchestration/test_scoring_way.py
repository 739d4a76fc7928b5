"""The tasks of a scoring run one after the other, with the model that ships and real jobs."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.local_airflow.demo import samples
from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.backends.job_task import score_task
from include.orchestration.callbacks import score_ended
from include.orchestration.callbacks.score_ended import record_scoring_failure
from include.orchestration.operators import score_tasks
from include.orchestration.parsing.scoring import scores_asset
from include.retraining.config.labels import Labels
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.config.scoring import Scoring
from include.retraining.monitoring.grade import read_grades
from include.retraining.scoring.record import ScoreOutcome, ScoreRecord, newest_records
from include.retraining.scoring.scores import ScoresFolder
from include.retraining.scoring.state import scoring_state
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.promoted_samples import promote_sample
from tests.support.run_callbacks import run_in
from tests.support.scored_toys import read_scores

MODEL = "diabetes_progression"
CONFIG = load_model(MODEL)
assert CONFIG.scoring is not None
SCORING = CONFIG.scoring


@pytest.fixture
def score_context(context: MakeContext) -> MakeContext:
    """Makes the context of a task of a scoring run."""

    def make(**more: Any) -> dict[str, Any]:
        made = context(dag_id=f"score_{MODEL}", **more)
        return {**made, "params": {"date": None, "rescore_days": None}}

    return make


def plan(context: dict[str, Any], config: ModelConfig = CONFIG) -> bool:
    """Find what is due."""
    due: bool = run_in(context, score_tasks.plan_scoring, config, config.scoring)
    return due


def score(context: dict[str, Any]) -> None:
    """Run the job, as its operator does."""
    score_task(SCORING.compute).execute(context)  # type: ignore[arg-type]


def record(context: dict[str, Any]) -> dict[str, Any]:
    """Record what was scored; return the asset's event."""
    asset, event = scores_asset(MODEL), SimpleNamespace(extra={})
    event_of = {**context, "outlet_events": {asset: event}}
    returned = run_in(event_of, score_tasks.record_scores, asset)
    assert returned == event.extra
    return event.extra


def read_as_the_page_says(output: str) -> pd.DataFrame:
    """Run the lines of docs/scoring.md for a consumer, with an address of this machine."""
    page = (Path(__file__).parents[3] / "docs" / "scoring.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    example = "/srv/store/scores/loans/2026-11-24"
    assert code.count(example) == 2
    names: dict[str, Any] = {}
    exec(code.replace(example, output.removeprefix("file://")), names)
    found: pd.DataFrame = names["scores"]
    return found


def only_record(store: Store) -> ScoreRecord:
    """The one record there is."""
    (found,) = newest_records(store, MODEL, 10)
    return found


def test_what_lands_is_scored_by_the_champion_and_once(
    store: Store, slack: SlackReceiver, score_context: MakeContext
) -> None:
    """Nothing is due without a champion or without input; then the input is scored, and once."""
    samples.land_input(store, MODEL)
    assert not plan(score_context(run_id="before"))
    entry = promote_sample(store, MODEL)
    now = score_context(run_id="first")
    assert plan(now)
    assert now["ti"].xcoms["planned"]["partitions"] == ["all"]
    score(now)
    (scored,) = record(now)["partitions"]
    assert (scored["version"], scored["rows"]) == (entry.version, 148)
    table = read_scores(ScoresFolder.at(store, scored["output"]))
    assert list(table) == ["patient_id", "age", "prediction", "model_version"]
    pd.testing.assert_frame_equal(read_as_the_page_says(scored["output"]), table)
    assert only_record(store).outcome is ScoreOutcome.SCORED
    assert not plan(score_context(run_id="second"))
    samples.land_input(store, MODEL)  # the same rows under a new flag
    again = score_context(run_id="third")
    assert plan(again)
    score(again)
    (named,) = record(again)["partitions"]
    assert named == scored
    assert ScoresFolder.at(store, scored["output"]).numbers() == [1, 2]
    assert not plan(score_context(run_id="fourth"))
    assert slack.messages == []


@pytest.mark.fault("S04")
def test_a_refused_input_is_red_and_told_once(
    store: Store, slack: SlackReceiver, score_context: MakeContext
) -> None:
    """The run fails with the refusal, which is in the record and in one message."""
    promote_sample(store, MODEL)
    bad = samples.new_patients().replace(b"patient_id,age", b"patient_id,years")
    store.write(f"landing/{MODEL}_new/new_patients.csv", bad)
    samples.raise_flag(store, f"landing/{MODEL}_new")
    now = score_context()
    assert plan(now)
    score(now)
    with pytest.raises(AirflowSkipException, match="all is refused"):
        record(now)
    with pytest.raises(AirflowFailException, match="all is refused"):
        run_in(now, score_tasks.require_all_scored)
    record_scoring_failure(now)  # type: ignore[arg-type]
    found = only_record(store)
    assert found.outcome is ScoreOutcome.REFUSED
    assert "age" in found.reason
    (message,) = slack.messages
    assert "an input was not scored" in message["text"]
    assert "docs/runbooks/scoring.md" in message["text"]
    assert not plan(score_context(run_id="second"))


@pytest.mark.fault("S09")
def test_a_day_that_cannot_be_accepted_stops_no_other_and_is_told_once(
    store: Store, slack: SlackReceiver, score_context: MakeContext
) -> None:
    """The others are scored and announced before the run turns red, and no run says it twice."""
    promote_sample(store, MODEL)
    places = {"location": "landing/new/{date}", "flag": "landing/new/{date}/_SUCCESS"}
    scoring = {**SCORING.model_dump(), "input": places, "output": "scores/{date}"}
    config = CONFIG.model_copy(update={"scoring": Scoring.model_validate(scoring)})
    today = datetime.now(ZoneInfo(CONFIG.trigger.timezone)).date()
    yesterday = today - timedelta(days=1)
    for day in (today, yesterday):
        store.write(f"landing/new/{day}/rows.csv", samples.new_patients())
    store.write(f"landing/new/{today}/rows.parquet", b"beside it")
    for day in (today, yesterday):
        store.write(f"landing/new/{day}/_SUCCESS", b"")
    now = score_context(run_id="first")
    assert plan(now, config)
    score(now)
    assert [one["name"] for one in record(now)["partitions"]] == [str(yesterday)]
    with pytest.raises(
        AirflowFailException, match=f"{today} is refused.*mixed.*scored {yesterday}"
    ):
        run_in(now, score_tasks.require_all_scored)
    assert not plan(score_context(run_id="second"), config)
    assert len(slack.messages) == 1
    store.write(f"landing/new/{today}/_SUCCESS", b"again")
    alone = score_context(run_id="third")
    with pytest.raises(AirflowFailException, match="mixed"):
        plan(alone, config)
    record_scoring_failure(alone)  # type: ignore[arg-type]
    assert not plan(score_context(run_id="fourth"), config)
    assert len(slack.messages) == 2
    (newest, first) = newest_records(store, MODEL, 10)
    assert [newest.outcome, first.outcome] == [ScoreOutcome.REFUSED] * 2


def test_labels_alone_start_a_run_that_grades_and_announces_no_scores(
    store: Store, slack: SlackReceiver, score_context: MakeContext
) -> None:
    """Where no partition is due, labels that came are joined, once, and the run is green."""
    promote_sample(store, MODEL)
    places = {"location": "landing/new/{date}", "flag": "landing/new/{date}/_SUCCESS"}
    scoring = {**SCORING.model_dump(), "input": places, "output": "scores/{date}"}
    labels = Labels(location="landing/labels/{date}", delay="1d")
    update = {"scoring": Scoring.model_validate(scoring), "labels": labels}
    config = CONFIG.model_copy(update=update)
    today = datetime.now(ZoneInfo(CONFIG.trigger.timezone)).date()
    yesterday = today - timedelta(days=1)
    store.write(f"landing/new/{yesterday}/rows.csv", samples.new_patients())
    store.write(f"landing/new/{yesterday}/_SUCCESS", b"")
    now = score_context(run_id="first")
    assert plan(now, config)
    score(now)
    record(now)
    assert not plan(score_context(run_id="second"), config)
    known = pd.read_csv(io.BytesIO(samples.new_patients()))[["patient_id"]]
    known["progression"] = 100.0 + known.index % 50
    store.write(f"landing/labels/{today}/labels.csv", known.to_csv(index=False).encode())
    store.write(f"landing/labels/{today}/_SUCCESS", b"")
    third = score_context(run_id="third")
    assert plan(third, config)
    (window,) = third["ti"].xcoms["planned"]["windows"]
    assert str(yesterday) in window
    score(third)
    with pytest.raises(AirflowSkipException, match="graded by labels that came since: 1"):
        record(third)
    run_in(third, score_tasks.require_all_scored)
    (grade,) = read_grades(store, MODEL, sources=["labels"])
    assert grade.window == str(yesterday)
    state = scoring_state(store, MODEL)
    assert state is not None
    assert state.newest is not None  # of the run before, which scored
    assert not plan(score_context(run_id="fourth"), config)
    assert slack.messages == []


@pytest.mark.fault("S07")
def test_a_mistake_in_the_callback_keeps_no_end_of_a_run_quiet(
    slack: SlackReceiver, score_context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that nobody foresaw is in the log, and the DAG's callback notifies all the same."""

    def fail() -> Store:
        raise ValueError("unforeseen")

    monkeypatch.setattr(score_ended, "open_store", fail)
    now = score_context(task_id="score_input")
    record_scoring_failure(now)  # type: ignore[arg-type]
    assert slack.messages == []
    record_scoring_failure({**now, "reason": "task_failure"})  # type: ignore[typeddict-item]
    (message,) = slack.messages
    assert "could not be recorded" in message["text"]


@pytest.mark.fault("S07")
def test_a_run_that_was_killed_leaves_one_record_and_one_message(
    store: Store, slack: SlackReceiver, score_context: MakeContext
) -> None:
    """The DAG's callback records what no task could, once, and says so once."""
    now = score_context(task_id="score_input")
    for _ in range(2):
        record_scoring_failure({**now, "reason": "task_failure"})  # type: ignore[typeddict-item]
    found = only_record(store)
    assert (found.outcome, found.failure) == (ScoreOutcome.FAILED, "killed")
    assert len(slack.messages) == 1
    state = scoring_state(store, MODEL)
    assert state is not None
    assert state.newest is None
    assert "it was killed" in (state.failed_because or "")
    assert found.created_at <= datetime.now(UTC)
