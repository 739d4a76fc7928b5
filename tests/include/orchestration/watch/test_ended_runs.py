"""Runs that Airflow ended without a word: recorded, told, and their jobs stopped, of any age."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.runtime.urls import airflow_url
from include.orchestration.watch import ended_runs, tasks
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.records import find_decision
from include.retraining.runs.journal import NEWEST, record_run_start
from include.retraining.runs.reference import RunRef
from include.retraining.steps.close_run import close_run
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.run_factory import MODEL, run_ref

ENDED = datetime(2026, 11, 1, tzinfo=UTC)


class Airflow:
    """What Airflow says of the runs; all have failed."""

    def __init__(self) -> None:
        self.runs: dict[str, RunRef] = {}

    def find(self, dag_id: str, run_id: str) -> Any:
        """Return a run as the task SDK describes it, None when it was deleted."""
        run = self.runs.get(run_id)
        return run and SimpleNamespace(
            run_id=run.run_id,
            run_after=run.run_after,
            state="failed",
            end_date=ENDED,
            clear_number=run.clear,
            run_type="scheduled",
            triggering_user_name=None,
        )


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Airflow:
    """An Airflow that the watch asks."""
    made = Airflow()
    monkeypatch.setattr(ended_runs, "find_run", made.find)
    monkeypatch.setattr(ended_runs, "newest_runs", lambda dag_id, limit: iter(()))
    return made


def begin(store: Store, airflow: Airflow, run: RunRef) -> RunRef:
    """Let a run begin."""
    record_run_start(store, run, airflow=airflow_url())
    airflow.runs[run.run_id] = run
    return run


def watch(store: Store, context: MakeContext) -> list[DecisionRecord]:
    """Let the watch look once, and return the records that it wrote."""
    ended = list(ended_runs.ended_runs(store, MODEL))
    closed = [one.run for one in ended if ended_runs.close_dead_run(store, one, context())]
    return [record for run in closed if (record := find_decision(store, run)) is not None]


def test_an_old_run_that_was_cleared_and_killed_is_closed(
    store: Store, slack: SlackReceiver, airflow: Airflow, context: MakeContext
) -> None:
    """More runs than the watch looks at came since; its clear gets its record, once."""
    for number in range(1, NEWEST + 3):
        close_run(store, begin(store, airflow, run_ref(number)), Outcome.FAILED, "it broke")
    begin(store, airflow, run_ref(1, clear=1))
    (record,) = watch(store, context)
    assert (record.run_id, record.clear, record.outcome) == ("scheduled__1", 1, Outcome.FAILED)
    assert "ended without a report" in record.reason
    assert watch(store, context) == []


def test_a_cleared_run_that_was_deleted_is_cancelled(
    store: Store, slack: SlackReceiver, airflow: Airflow, context: MakeContext
) -> None:
    """It had decided before; what its clear began ends with a record too."""
    close_run(store, begin(store, airflow, run_ref(1)), Outcome.FAILED, "it broke")
    begin(store, airflow, run_ref(1, clear=1))
    airflow.runs.clear()
    (record,) = watch(store, context)
    assert (record.clear, record.outcome) == (1, Outcome.CANCELLED)
    assert watch(store, context) == []


@pytest.mark.fault("I09")
def test_a_cleared_run_of_which_nothing_ran_keeps_its_decision(
    store: Store, slack: SlackReceiver, airflow: Airflow, context: MakeContext
) -> None:
    """A skipped task that is cleared is skipped again: no record says that anything broke (I09)."""
    run = begin(store, airflow, run_ref(1))
    close_run(store, run, Outcome.REJECTED, "not better than the champion")
    airflow.runs[run.run_id] = replace(run, clear=1)
    (record,) = watch(store, context)
    assert (record.clear, record.outcome) == (1, Outcome.REJECTED)
    assert "no task of it ran again" in record.reason
    assert record.reason.endswith("stands: not better than the champion")


@pytest.mark.fault("H01")
def test_a_record_whose_writer_was_killed_before_it_told_is_told(
    store: Store,
    slack: SlackReceiver,
    airflow: Airflow,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run has its record, so it is not closed again; its announcement waits (H01)."""
    run = begin(store, airflow, run_ref(1))
    close_run(store, run, Outcome.FAILED, "it was killed", failed_task="train_model")
    assert watch(store, context) == []
    monkeypatch.setattr(tasks, "get_current_context", context)
    assert [tasks.resend_notices() for _ in range(2)] == [1, 0]
    (message,) = slack.messages
    assert "it was killed" in message["text"]
    assert f"/runs/{run.run_id}" in message["text"]
