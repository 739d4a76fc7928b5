"""A gate that breaks, a Slack that is away, and data that never become complete."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.retraining.decisions.record import Outcome
from include.retraining.notifications import outbox
from tests.support.airflow_harness import Stage, replace_text
from tests.support.repository_copy import add_model
from tests.support.scenes import check_task_states, patients, stopped_at
from tests.support.shared_airflow import SharedAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.rare]

LEAF = "tidy_up"
"""A task that runs however the others ended: what hides a failure in Airflow."""
WITH_LEAF = ("gateless", "gateless_asking", "restless")


@pytest.fixture(scope="module")
def airflow(shared: SharedAirflow) -> Iterator[Stage]:
    """A real Airflow whose gate breaks for some models, and with a forgiving leaf."""
    with shared.with_models(add_models) as running:
        yield running


def add_models(root: Path) -> None:
    """Add the models, break the gate for some of them, and add a task that always succeeds."""
    add_model(root, "gateless")
    add_model(root, "gateless_asking", values={"approval": "required"})
    add_model(root, "unheard")
    add_model(root, "heard")
    add_model(root, "restless", values={"trigger": {"timeout_seconds": 25, "poke_seconds": 0.5}})
    replace_text(
        root / "include/retraining/steps/decide.py",
        "    key = evidence.paths.verdict(run.clear)\n    if not store.create",
        "    if run.model.startswith('gateless'):\n"
        "        raise ZeroDivisionError('the gate broke')\n"
        "    key = evidence.paths.verdict(run.clear)\n    if not store.create",
    )
    replace_text(
        root / "dags/retrain_pipeline.py",
        "        gate >> publish_card\n",
        "        gate >> publish_card\n"
        f"        if config.name in {WITH_LEAF!r}:\n"
        f'            gate >> EmptyOperator(task_id="{LEAF}", trigger_rule="all_done")\n',
    )


@pytest.mark.fault("F15")
@pytest.mark.parametrize("model", ["gateless", "gateless_asking"])
def test_a_gate_that_crashes_makes_the_run_red(airflow: Stage, model: str) -> None:
    """Nothing is promoted and nobody is asked, whatever leaf runs all the same; one message."""
    airflow.land(model, patients())
    ended, record = airflow.run(model)
    expected = stopped_at("check_quality") | {LEAF: "success"}
    if model == "gateless_asking":
        expected["approve_promotion"] = "upstream_failed"
    check_task_states(ended, expected)
    assert ended.state == "failed"
    assert (record.outcome, record.failed_task) == (Outcome.FAILED, "check_quality")
    assert "ZeroDivisionError at include/retraining/steps/decide.py" in record.reason
    assert airflow.promotions(model) == []
    airflow.check_told_once(record, "the run broke", "ZeroDivisionError at include/")
    airflow.check_invariants(model, record)


@pytest.mark.fault("H01")
def test_what_slack_did_not_take_is_sent_later(airflow: Stage) -> None:
    """Slack refuses connections while a run fails: the message comes once it is back, once."""
    frame = patients()
    frame.loc[[3, 5, 8], "bmi"] = 999
    airflow.slack.stop()
    try:
        airflow.land("unheard", frame)
        _, record = airflow.run("unheard")
        assert record.outcome is Outcome.DATA_REJECTED
        notice = airflow.wait_for(
            lambda: next((n for n in outbox.waiting(airflow.store) if record.run in n.key), None),
            "notice in the outbox",
        )
        problem = airflow.wait_for(
            lambda: outbox.last_problem(airflow.store, notice.key), "note of the try that failed"
        )
    finally:
        airflow.slack.start()
    assert airflow.messages_about(record.run) == []

    airflow.wait_for(lambda: datetime.now(UTC) > problem.again_at, "time of the next try")
    airflow.land("heard", patients())
    _, next_record = airflow.run("heard")  # the next message takes along what waits
    airflow.check_told_once(next_record, "promoted")
    airflow.check_told_once(record, "bmi", "3 rows")
    airflow.wait_for(lambda: not list(outbox.waiting(airflow.store)), "empty outbox")
    assert len(airflow.messages_about(record.run)) == 1
    airflow.check_invariants("unheard", record)


@pytest.mark.fault("A08")
def test_a_flag_that_changes_for_ever_waits_no_longer(airflow: Stage) -> None:
    """Each change ends a wait and begins another; the time is counted from the run's start."""
    run_id = airflow.start_run("restless")

    def ended_after_one_more_flag() -> bool:
        airflow.raise_flag("restless")
        return airflow.api.run("retrain_restless", run_id)["end_date"] is not None

    airflow.wait_for(ended_after_one_more_flag, "end of the wait", 120, pause_seconds=1)
    ended = airflow.wait_for_end("restless", run_id)
    check_task_states(ended, stopped_at("wait_for_data") | {LEAF: "success"})
    assert ended.state == "failed"
    record = airflow.record("restless", run_id)
    assert record.outcome is Outcome.NO_DATA
    log = airflow.log("restless", run_id, "wait_for_data")
    assert log.count("waiting up to") > 1, log
    airflow.check_told_once(record, "within 25 s")
    airflow.check_invariants("restless", record)
