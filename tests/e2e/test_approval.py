"""A person must approve: every answer, none, and one that comes too late, on a real Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.registry.promotion import Registry
from tests.support.airflow_harness import Stage
from tests.support.repository_copy import add_model
from tests.support.scenes import check_task_states, patients, states, with_poor_training_labels
from tests.support.shared_airflow import SharedAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

ASKED = "approve_promotion"
APPROVED = states(no_change="skipped", abort_pipeline="skipped") | {ASKED: "success"}
REFUSED = states(no_change="skipped", deploy_model="skipped", abort_pipeline="failed")
DECLINED = REFUSED | {ASKED: "success"}


@pytest.fixture(scope="module")
def airflow(shared: SharedAirflow) -> Iterator[Stage]:
    """A real Airflow with a model for each way in which a question ends."""
    with shared.with_models(add_models) as running:
        yield running


def add_models(root: Path) -> None:
    """Add a model for each way in which a question ends."""
    required: dict[str, Any] = {"approval": "required"}
    add_model(root, "asked", values=required | {"gates": {"minimum": {"r2": 0.0}}})
    add_model(root, "silent", values=required | {"approval_hours": 0.002})
    add_model(root, "noteless", values=required)
    add_model(root, "asked_trial", values=required)
    add_model(root, "asked_in_vain", values=required | {"gates": {"minimum": {"r2": 0.95}}})


def wait_for_question(airflow: Stage, model: str, run_id: str) -> dict[str, Any]:
    """Wait until a run asks, and return the question as Airflow shows it.

    Until the scheduler has seen the pause too: it takes an earlier answer for a lost task, and asks
    again (https://github.com/apache/airflow/issues/67287).
    """
    airflow.wait_for_task(model, run_id, ASKED, "awaiting_input")
    asked = airflow.api.tasks(f"retrain_{model}", run_id)[ASKED]
    signs = ("TaskInstance Finished", f"task_id={ASKED}, run_id={run_id},")
    signs += ("state=awaiting_input", f"try_number={asked['try_number']},")
    log = airflow.airflow.log_folder / "scheduler.log"
    airflow.wait_for(
        lambda: any(all(sign in line for sign in signs) for line in log.read_text().splitlines()),
        f"the scheduler's notice of the pause of {run_id}",
    )
    return dict(airflow.api.request("GET", question_path(model, run_id)))


def question_path(model: str, run_id: str) -> str:
    """Return where the API has a run's question."""
    return f"/dags/retrain_{model}/dagRuns/{run_id}/taskInstances/{ASKED}/-1/hitlDetails"


def answer(airflow: Stage, model: str, run_id: str, option: str, note: str | None = None) -> None:
    """Answer a run's question as the form in the UI does."""
    form = {} if note is None else {"note": note}
    values = {"chosen_options": [option], "params_input": form}
    airflow.api.request("PATCH", question_path(model, run_id), json=values)


def end_of(airflow: Stage, model: str, run_id: str, *, clear: int = 0) -> DecisionRecord:
    """Wait for a run's end and return its record."""
    record = airflow.record(model, run_id, clear=clear)
    airflow.wait_for_end(model, run_id)
    return record


def test_only_an_approval_lets_a_version_serve(airflow: Stage) -> None:
    """Approved: it serves; rejected: nothing changes; asked again: it serves; late: superseded."""
    airflow.land("asked", with_poor_training_labels(seed=1))
    run_id = airflow.start_run("asked")
    question = wait_for_question(airflow, "asked", run_id)
    assert question["options"] == ["Approve", "Reject"]
    assert question["defaults"] == ["Reject"]
    assert "| Gate | Answer |" in question["body"]
    assert "minimum r2" in question["body"]
    text = airflow.wait_for_message("Waiting for you", run_id.partition("T")[0])
    assert f"/tasks/{ASKED}/required_actions" in text
    assert airflow.promotions("asked") == []
    answer(airflow, "asked", run_id, "Approve", "looks <right> {{ to }} me")
    first = end_of(airflow, "asked", run_id)
    check_task_states(airflow.wait_for_end("asked", run_id), APPROVED)
    assert first.outcome is Outcome.PROMOTED
    assert first.approval is not None
    assert (first.approval.by, first.approval.note) == ("admin", "looks <right> {{ to }} me")
    (entry,) = airflow.promotions("asked")
    assert (entry.actor, entry.reason) == ("admin", "looks <right> {{ to }} me")

    airflow.land("asked", patients())
    run_id = airflow.start_run("asked")
    wait_for_question(airflow, "asked", run_id)
    answer(airflow, "asked", run_id, "Reject", "not on a Friday")
    refused = end_of(airflow, "asked", run_id)
    check_task_states(airflow.wait_for_end("asked", run_id), DECLINED)
    assert refused.outcome is Outcome.APPROVAL_REJECTED
    assert refused.reason == "rejected by admin: not on a Friday"
    assert refused.serving == first.serving
    assert len(airflow.promotions("asked")) == 1
    airflow.wait_for_message("rejected by admin", refused.run)

    airflow.clear("asked", run_id, ASKED)
    wait_for_question(airflow, "asked", run_id)
    answer(airflow, "asked", run_id, "Approve", "it is Monday")
    second = end_of(airflow, "asked", run_id, clear=1)
    assert second.outcome is Outcome.PROMOTED
    assert [item.reason for item in airflow.promotions("asked")][1:] == ["it is Monday"]

    conf = {"force_retrain": True, "reason": "once more"}
    run_id = airflow.start_run("asked", conf)
    wait_for_question(airflow, "asked", run_id)
    registry = Registry(airflow.store, "asked")
    registry.rollback(str(first.version), actor="ada", reason="a complaint")
    registry.release(actor="ada", reason="it was another's fault")
    answer(airflow, "asked", run_id, "Approve", "fine")
    late = end_of(airflow, "asked", run_id)
    assert late.outcome is Outcome.SUPERSEDED
    assert late.serving is not None
    assert late.serving.version == first.version
    assert airflow.wait_for_end("asked", run_id).tasks["deploy_model"] == "skipped"


def test_no_answer_is_a_no(airflow: Stage) -> None:
    """When the time is up, the version does not serve, and the record says that nobody answered."""
    airflow.land("silent", patients())
    run_id = airflow.start_run("silent")
    record = end_of(airflow, "silent", run_id)
    check_task_states(airflow.wait_for_end("silent", run_id), DECLINED)
    assert record.outcome is Outcome.APPROVAL_EXPIRED
    assert record.approval is not None
    assert record.approval.by is None
    assert airflow.promotions("silent") == []
    airflow.wait_for_message("not approved in time", record.run)


def test_an_approval_needs_a_note(airflow: Stage) -> None:
    """Approved without a note: the promotion refuses it, red, with a record."""
    airflow.land("noteless", patients())
    run_id = airflow.start_run("noteless")
    wait_for_question(airflow, "noteless", run_id)
    answer(airflow, "noteless", run_id, "Approve")
    record = end_of(airflow, "noteless", run_id)
    ended = airflow.wait_for_end("noteless", run_id)
    check_task_states(ended, APPROVED | {"deploy_model": "failed"})
    assert ended.state == "failed"
    assert record.outcome is Outcome.APPROVAL_REJECTED
    assert "without a note" in record.reason
    assert airflow.promotions("noteless") == []


def test_a_dry_run_asks_nobody(airflow: Stage) -> None:
    """A dry run goes by the question, and promotes nothing."""
    airflow.land("asked_trial", patients())
    ended, record = airflow.run("asked_trial", {"dry_run": True})
    check_task_states(ended, APPROVED | {"deploy_model": "skipped"})
    assert record.outcome is Outcome.DRY_RUN
    assert record.approval is None
    assert airflow.promotions("asked_trial") == []
    assert not [text for text in airflow.messages_about(record.run) if "Waiting for you" in text]


def test_what_the_gate_refused_is_asked_of_nobody(airflow: Stage) -> None:
    """A gate's no goes past the question."""
    airflow.land("asked_in_vain", patients())
    ended, record = airflow.run("asked_in_vain")
    check_task_states(ended, REFUSED | {ASKED: "skipped"})
    assert (ended.state, record.outcome) == ("failed", Outcome.REJECTED)
