"""Tests of the callbacks: every run gets one record and one message, whatever ended it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.local_airflow.slack_receiver import REVOKED, SlackReceiver
from include.orchestration.callbacks import send
from include.orchestration.callbacks.notifiers import MissingCardNotifier
from include.orchestration.callbacks.run_ended import record_and_notify
from include.orchestration.operators.note_cleared import note_cleared
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.run_reference import run_reference
from include.retraining.config.model import Alerts, load_model
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.records import consumed_flag, decisions
from include.retraining.exceptions import (
    DataRejected,
    DeliveryError,
    EvidenceError,
    ParameterError,
    StorageError,
)
from include.retraining.fingerprint.pinned import Flag
from include.retraining.notifications.notice import Notice, NoticeKind
from include.retraining.notifications.outbox import waiting
from include.retraining.runs.results import StepFailure, write_failure
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.run_callbacks import end_run

MODEL = "diabetes_progression"


def failure(error: Exception) -> Exception:
    """Return what a task raises for an error of the core."""
    with pytest.raises(type(error) if not error.is_permanent else AirflowFailException) as caught:  # type: ignore[attr-defined]
        raise_clearly(error)
    return caught.value


def raise_clearly(error: Exception) -> None:
    """Raise as a task does."""
    with fail_permanent_errors():
        raise error


def only_record(store: Store) -> DecisionRecord:
    """Return the one record there is."""
    (record,) = decisions(store, MODEL)
    return record


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (DataRejected("glucose: 3 rows above 999"), Outcome.DATA_REJECTED),
        (DeliveryError("../x: leaves the delivery"), Outcome.DATA_REJECTED),
        (StorageError("s3://b: 503"), Outcome.FAILED),
    ],
)
def test_a_failed_task_closes_its_run_with_the_first_cause(
    store: Store, slack: SlackReceiver, context: MakeContext, error: Exception, outcome: Outcome
) -> None:
    """Outcome, reason and task are in the record, and the reason is in the message."""
    end_run(context(task_id="validate_data", exception=failure(error)))
    record = only_record(store)
    assert (record.outcome, record.reason) == (outcome, str(error))
    assert record.failed_task == "validate_data"
    (message,) = slack.messages
    assert str(error) in message["text"]


def test_a_form_filled_in_wrongly_is_sent_again(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """Clearing would give it the same parameters. Who owns the model is told without a plan too."""
    error = ParameterError("date: 2031-01-01 is out of bounds")
    end_run(context(task_id="wait_for_data", exception=failure(error)))
    assert only_record(store).owner is None
    (message,) = slack.messages
    assert f"Trigger `retrain_{MODEL}` again: a run keeps the parameters" in message["text"]
    assert f"Owner: {load_model(MODEL).owner}" in message["text"]


def test_an_unexpected_error_is_named_with_its_type(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """A bug of ours is told in one line."""
    end_run(context(task_id="plan_run", exception=KeyError("a\nb")))
    assert only_record(store).reason.startswith("KeyError; its text is in the task's log only")
    assert "\n" not in only_record(store).reason


@pytest.mark.fault("H06")
def test_callbacks_that_come_twice_tell_once(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """The worker's callback twice, then the DAG processor's (E6, E9): one record and message."""
    in_worker = context(task_id="train_model", exception=failure(StorageError("s3://b: 503")))
    in_processor = context(task_id="train_model", reason="task_failure")
    for call in (in_worker, in_worker, in_processor):
        end_run(call)
    assert only_record(store).reason == "s3://b: 503"
    assert len(slack.messages) == 1


def test_a_killed_task_is_told_by_the_dags_callback(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """No exception, no word from the step: that is what is said (E1, E7)."""
    end_run(context(task_id="train_model", reason="task_failure"))
    assert only_record(store).reason == (
        "train_model ended without saying why: it was killed, or someone marked it failed"
    )
    assert len(slack.messages) == 1


def test_what_the_step_said_is_the_reason(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """The DAG's callback has no exception; the step's last word is in the store."""
    call = context(task_id="train_model", reason="task_failure", try_number=3)
    last_word = said(call, "train", "0-3", "job_killed", "killed (SIGKILL)")
    write_failure(store, run_reference(call).paths, last_word)
    end_run(call)
    assert "killed (SIGKILL)" in only_record(store).reason


def said(context: dict[str, Any], step: str, attempt: str, kind: str, message: str) -> StepFailure:
    """What an attempt of a step says when it fails."""
    return StepFailure(
        run_id=context["run_id"],
        step=step,  # type: ignore[arg-type]
        attempt=attempt,
        kind=kind,
        is_permanent=kind == "out_of_memory",
        message=message,
    )


@pytest.mark.parametrize("reason", ["task_failure", "timed_out"])
def test_the_first_cause_is_told_rather_than_the_last_symptom(
    store: Store, slack: SlackReceiver, context: MakeContext, reason: str
) -> None:
    """Out of memory first, then killed, then no machine: more memory is what is asked for."""
    call = context(task_id="train_model", reason=reason, try_number=3)
    paths = run_reference(call).paths
    for attempt, kind, message in (
        ("0-1", "out_of_memory", "out of memory at 512 MiB"),
        ("0-2", "job_killed", "killed (SIGKILL)"),
        ("0-3", "no_capacity", "no capacity: waited 15 min"),
    ):
        write_failure(store, paths, said(call, "train", attempt, kind, message))
    end_run(call)
    record = only_record(store)
    assert record.failure == "out_of_memory"
    assert record.reason.endswith("train: out of memory at 512 MiB")
    (message_sent,) = slack.messages
    assert "the run broke in `train_model`: out of memory" in message_sent["text"]
    assert "Give the step more `memory`" in message_sent["text"]


def test_what_failed_before_a_clear_explains_nothing(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """What was mended and cleared is not the cause of what happens after."""
    call = context(task_id="train_model", reason="task_failure", clear=1)
    paths = run_reference(call).paths
    write_failure(store, paths, said(call, "train", "0-1", "out_of_memory", "out of memory"))
    end_run(call)
    record = only_record(store)
    assert record.failure == "killed"
    assert "out of memory" not in record.reason


def test_a_step_without_a_result_is_explained_by_what_it_said(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """The gate that finds no evidence is the symptom; the training that failed is the cause."""
    call = context(
        task_id="check_quality", exception=failure(EvidenceError("the step left no result"))
    )
    paths = run_reference(call).paths
    write_failure(store, paths, said(call, "train", "0-1", "training", "a column is missing"))
    end_run(call)
    record = only_record(store)
    assert (record.failure, record.reason) == ("training", "train: a column is missing")


def test_a_run_that_took_too_long_says_so(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """`dagrun_timeout` runs no task's callback, only the DAG's."""
    end_run(context(task_id="train_model", reason="timed_out"))
    assert only_record(store).reason == "the run took too long; train_model was not done"


def test_a_success_without_a_decision_is_a_failure(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """Airflow can call anything a success; a run that decided nothing is broken."""
    end_run(context(task_id="check_quality", reason="success"))
    record = only_record(store)
    assert (record.outcome, record.failed_task) == (Outcome.FAILED, None)
    assert "without a decision" in record.reason


def test_a_success_with_a_decision_stays_as_it_is(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """The record that a task wrote is not touched."""
    record_and_notify(context(), Outcome.NO_CHANGE, "nothing changed")
    end_run(context(reason="success"))
    assert only_record(store).outcome is Outcome.NO_CHANGE
    assert slack.messages == []


def test_a_callback_that_was_given_no_run_reads_its_id(store: Store, slack: SlackReceiver) -> None:
    """Airflow may hand over no more than DAG, run id and reason."""
    run_id = "scheduled__2026-11-24T06:00:00+00:00"
    dag = SimpleNamespace(dag_id=f"retrain_{MODEL}")
    end_run({"dag": dag, "run_id": run_id, "reason": "task_failure"})  # type: ignore[arg-type]
    record = only_record(store)
    assert record.run.startswith("20261124T060000-scheduled__2026-11-24T06_00_00_00_00")
    assert record.cause.run_type == "scheduled"


@pytest.mark.fault("H04")
def test_without_slack_connection_the_notice_waits(
    store: Store,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An error in the log, the record is there, and the notice is in the outbox (H04)."""
    monkeypatch.delenv("AIRFLOW_CONN_SLACK_ALERTS", raising=False)
    record_and_notify(context(), Outcome.FAILED, "it broke")
    (line,) = [item for item in caplog.records if "nobody was notified" in item.message]
    assert line.levelname == "ERROR"
    assert "there is no Airflow connection 'slack_alerts'" in line.message
    assert only_record(store).reason == "it broke"
    assert [notice.event for notice in waiting(store)] == ["broken"]


def test_with_slack_down_the_notice_waits(
    store: Store,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """That nobody can be told never fails a run, and the webhook's address stays secret."""
    connection = {
        "conn_type": "slackwebhook",
        "password": "http://127.0.0.1:9/services/T0/B0/canary",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", json.dumps(connection))
    record_and_notify(context(), Outcome.FAILED, "it broke")
    assert "nobody was notified (broken)" in caplog.text
    assert "canary" not in caplog.text
    assert [notice.event for notice in waiting(store)] == ["broken"]


def test_with_the_store_gone_people_are_told_directly(
    store_is: Callable[..., None], slack: SlackReceiver, context: MakeContext, tmp_path: Path
) -> None:
    """No record can be written, so the DAG's callback speaks without one; the task's does not."""
    store_is(f"file://{tmp_path}/gone")
    end_run(context(exception=failure(StorageError("it is gone <!channel>"))))
    assert slack.messages == []
    end_run(context(reason="task_failure"))
    (message,) = slack.messages
    assert "its decision could not be recorded" in message["text"]
    assert "/runs/" in message["text"]
    assert "there is no such folder" in message["text"]


@pytest.mark.fault("H01")
def test_a_message_that_goes_through_takes_along_what_waited(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """A notice whose sender died before it could send is sent with the next one."""
    late = Notice(
        key="late", event="broken", model=MODEL, text="the late one", created_at=datetime.now(UTC)
    )
    store.create(f"outbox/{late.key}.json", late.to_bytes())
    record_and_notify(context(), Outcome.FAILED, "it broke")
    assert [message["text"] for message in slack.messages][1:] == ["the late one"]
    assert list(waiting(store)) == []


def test_a_missing_card_is_told_and_the_decision_stands(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """The run is red although it decided; people hear why, once."""
    record_and_notify(context(), Outcome.NO_CHANGE, "decided")
    failed = context(task_id="publish_card", exception=RuntimeError("no font <x>"))
    for _ in range(2):
        MissingCardNotifier()(failed)
    (message,) = slack.messages
    assert "the model card could not be made" in message["text"]
    assert "RuntimeError; its text is in the task's log only" in message["text"]
    assert "no font" not in str(message)
    assert only_record(store).outcome is Outcome.NO_CHANGE


@pytest.mark.fault("H04")
def test_a_revoked_channel_is_replaced_by_the_default(
    store: Store,
    slack: SlackReceiver,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A kind's own channel that answers 404 is followed by the default one, and the log says so."""
    with SlackReceiver(tmp_path / "page.jsonl") as page:
        page.answer_always(REVOKED)
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_PAGE", page.connection)
        alerts = Alerts(by_kind={NoticeKind.BROKEN: "slack_page"})
        monkeypatch.setattr(send, "_alerts", lambda model: alerts)
        record_and_notify(context(), Outcome.FAILED, "it broke")
        assert page.requests == 1
    assert len(slack.messages) == 1
    (line,) = [item for item in caplog.records if "instead" in item.message]
    assert line.levelname == "ERROR"
    assert "slack_page" in line.message
    assert list(waiting(store)) == []


def test_each_kind_may_have_its_channel(
    store: Store,
    slack: SlackReceiver,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """What is broken goes to the channel that pages, the rest to the usual one."""
    with SlackReceiver(tmp_path / "page.jsonl") as page:
        monkeypatch.setenv("AIRFLOW_CONN_SLACK_PAGE", page.connection)
        alerts = Alerts(by_kind={NoticeKind.BROKEN: "slack_page"})
        monkeypatch.setattr(send, "_alerts", lambda model: alerts)
        record_and_notify(context(run_id="a"), Outcome.FAILED, "it broke")
        record_and_notify(context(run_id="b"), Outcome.REJECTED, "not better")
        assert ["it broke" in text for text in page.texts] == [True]
    assert ["not better" in text for text in slack.texts] == [True]


@pytest.mark.fault("A10")
def test_a_refused_delivery_is_decided_on_once(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """The refusal consumes its flag: the next run does not find it new and refuse it again."""
    config = load_model(MODEL)
    flag = Flag(uri=f"{store.uri}/{config.trigger.flag}", identity="5-9", is_consumable=True)
    refused = failure(DeliveryError("ready.json: lists no files", flag=flag))
    end_run(context(task_id="wait_for_data", exception=refused))
    assert only_record(store).outcome is Outcome.DATA_REJECTED
    assert consumed_flag(store, MODEL, flag.uri, for_run="the next") == "5-9"


@pytest.mark.fault("I09")
@pytest.mark.parametrize("reason", ["success", "task_failure"])
def test_a_cleared_run_of_which_nothing_ran_again_keeps_its_decision(
    store: Store, slack: SlackReceiver, context: MakeContext, reason: str
) -> None:
    """Airflow skips a skipped task again, and ends the run: what was decided stands (I09)."""
    record_and_notify(context(), Outcome.CANNOT_JUDGE, "the champion is lost", failure="artifact")
    end_run(context(clear=1, reason=reason))
    newest, first = decisions(store, MODEL)
    assert (newest.clear, newest.outcome, newest.failure) == (1, first.outcome, first.failure)
    assert newest.reason.endswith("stands: the champion is lost")


def test_a_cleared_run_that_went_on_is_closed_for_what_it_did(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """A task of it began, as its callback notes; then its process was killed."""
    record_and_notify(context(), Outcome.REJECTED, "not better")
    note_cleared(context(task_id="train_model"))
    assert not store.exists(run_reference(context()).paths.goes_on(0))
    note_cleared(context(task_id="train_model", clear=1))
    end_run(context(task_id="train_model", clear=1, reason="task_failure"))
    newest = next(decisions(store, MODEL))
    assert (newest.clear, newest.outcome) == (1, Outcome.FAILED)


@pytest.mark.fault("F16")
def test_a_run_of_which_every_task_was_skipped_has_a_record_that_says_so(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """Airflow calls it a success: people are told that nothing was decided (F16)."""
    end_run(context(reason="success"))
    assert (only_record(store).outcome, only_record(store).failure) == (
        Outcome.FAILED,
        "no_decision",
    )
    assert len(slack.messages) == 1


def test_a_store_that_does_not_answer_stops_no_cleared_task(
    store_is: Callable[..., None],
    context: MakeContext,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The note is for the watch; the task itself says what ails the store."""
    store_is(f"file://{tmp_path}/gone")
    note_cleared(context(clear=1))
    assert "could not be recorded that the run continues" in caplog.text
