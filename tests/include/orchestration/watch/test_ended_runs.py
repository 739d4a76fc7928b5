"""Runs that Airflow ended without a word: recorded, told, and their jobs stopped, of any age."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.watch import follow_runs, tasks
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.records import decisions
from include.retraining.runs.journal import NEWEST
from include.retraining.steps.close_run import close_run
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.run_factory import MODEL, run_ref
from tests.support.watched_airflow import Airflow, begin


def watch(store: Store, context: MakeContext) -> list[DecisionRecord]:
    """Let the watch look once, and return the records that it wrote."""
    before = {(record.run_id, record.clear) for record in decisions(store, MODEL)}
    follow_runs.close_dead_runs(store, context(), [MODEL])
    return [
        record for record in decisions(store, MODEL) if (record.run_id, record.clear) not in before
    ]


def test_an_old_run_that_was_cleared_and_killed_is_closed(
    store: Store, slack: SlackReceiver, airflow: Airflow, context: MakeContext
) -> None:
    """More runs than the watch looks at came since, and all were checked today; it is closed once.

    Its own clear began, however old the run is.
    """
    for number in range(1, NEWEST + 3):
        close_run(store, begin(store, airflow, run_ref(number)), Outcome.FAILED, "it broke")
    assert [watch(store, context) for _ in range(2)] == [[], []]
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
