"""Tests on a real Airflow with a store on S3 and every connection in Airflow's own database.

The triggerer, the worker and the DAG processor each look connections up in a way of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.retraining.decisions.record import Outcome
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store
from tests.support.airflow_harness import Stage, stage
from tests.support.repository_copy import copy_repository

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

MODEL = "diabetes_progression"


@pytest.fixture(scope="module")
def s3_store(s3_endpoint: str) -> Store:
    """An initialised store in a bucket."""
    import boto3

    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test-secret"}
    boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1", **keys).create_bucket(
        Bucket="retraining-on-s3"
    )
    options = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
    }
    return store_marker.initialise("s3://retraining-on-s3/store", options)


@pytest.fixture(scope="module")
def airflow(s3_store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A real Airflow that finds nothing in its environment; one of its models is broken."""
    root = copy_repository(tmp_path_factory.mktemp("repository"))
    broken = root / "include" / "models" / "broken.yaml"
    broken.write_text("name: broken\ncolour: red\n")
    nothing = {"AIRFLOW_CONN_STORE": "", "AIRFLOW_CONN_SLACK_ALERTS": ""}
    folder: Path = tmp_path_factory.mktemp("stage")
    with stage(folder, root=root, environment=nothing) as running:
        running.store = s3_store
        extra = {
            "uri": s3_store.uri,
            "region_name": "us-east-1",
            "endpoint_url": s3_store.options["AWS_ENDPOINT_URL"],
        }
        slack = json.loads(running.slack.connection)
        connections = [
            {
                "connection_id": "store",
                "conn_type": "aws",
                "login": "test",
                "password": "test-secret",
                "extra": json.dumps(extra),
            },
            {
                "connection_id": "slack_alerts",
                "conn_type": "slackwebhook",
                "host": slack.get("host"),
                "password": slack["password"],
            },
        ]
        running.api.overwrite("connections", connections)
        yield running


@pytest.mark.fault("A01")
def test_a_late_delivery_is_waited_for_and_promoted(airflow: Stage) -> None:
    """The run starts before its data, sleeps in the triggerer, and wakes up when the flag lands."""
    run_id = airflow.start_run(MODEL)
    airflow.wait_for_task(MODEL, run_id, "wait_for_data", "deferred")
    airflow.land(MODEL)
    ended = airflow.wait_for_end(MODEL, run_id)
    record = airflow.record(MODEL, run_id)
    assert record.outcome is Outcome.PROMOTED, record.reason
    assert ended.state == "success"
    assert ended.tasks["wait_for_data"] == "success"
    assert ended.tasks["publish_card"] == "success"
    assert ended.tasks["abort_pipeline"] == "skipped"
    log = airflow.log(MODEL, run_id, "wait_for_data")
    assert "ready.flag is not there yet" in log
    assert "changed: checking it" in log  # the trigger's own line
    message = airflow.wait_for_message("a new version serves")
    assert "s3://retraining-on-s3/store/models/diabetes_progression/decisions/" in message
    assert airflow.api.xcom(f"retrain_{MODEL}", run_id, "check_quality", "verdict") == "pass"


def test_a_person_who_ends_the_wait_is_heard_of(airflow: Stage) -> None:
    """No task callback comes; the DAG processor's closes the run and tells (E7)."""
    run_id = airflow.start_run(MODEL)
    airflow.wait_for_task(MODEL, run_id, "wait_for_data", "deferred")
    airflow.api.set_task_state(f"retrain_{MODEL}", run_id, "wait_for_data", "failed")
    record = airflow.record(MODEL, run_id)
    assert (record.outcome, record.failed_task) == (Outcome.FAILED, "wait_for_data")
    assert "someone marked it failed" in record.reason
    airflow.wait_for_message("the run broke in `wait_for_data`", "someone marked it failed")


@pytest.mark.fault("T01")
def test_a_smuggled_parameter_fails_the_first_task(airflow: Stage) -> None:
    """Airflow lets unknown keys pass; our first task does not (T01)."""
    ended, record = airflow.run(MODEL, {"force": True})
    assert ended.state == "failed"
    assert ended.tasks["wait_for_data"] == "failed"
    assert ended.tasks["plan_run"] == "upstream_failed"
    assert record.outcome is Outcome.FAILED
    assert record.reason.startswith("unknown parameter 'force'; allowed: dry_run")


def test_a_broken_configuration_is_red_and_told(airflow: Stage) -> None:
    """The model's DAG is there, fails with what is wrong, and people hear of it."""
    run_id = airflow.start_run("broken")
    ended = airflow.wait_for_end("broken", run_id)
    assert (ended.state, ended.tasks) == ("failed", {"read_configuration": "failed"})
    record = airflow.record("broken", run_id)
    assert "colour: is not a field" in record.reason
    airflow.wait_for_message("colour: is not a field")
