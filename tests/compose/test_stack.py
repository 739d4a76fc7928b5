"""The stack of docker-compose.yaml: what `make env && make up` gives, and what survives a crash."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from include.local_airflow.rest_client import AirflowSession
from include.retraining.decisions.record import Outcome
from include.retraining.decisions.records import decisions
from include.retraining.exceptions import AirflowRefused
from include.retraining.store.layout import RunPaths
from tests.compose.conftest import LIKE
from tests.compose.stack import Stack, record_of, second_host
from tests.support import container_engine
from tests.support.aws_in_containers import running_aws
from tests.support.invariants import check_invariants

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]  # the first one builds and starts

LOOK = "from include.stack.watchdog import check, new_token; check(new_token())"
KILL = "import psutil; [child.kill() for child in psutil.Process(1).children()]"


def test_the_sample_models_are_decided_on(stack: Stack, tmp_path: Path) -> None:
    """After `make up` one sample model is promoted, the other refused, and Slack told of both."""
    wait_for_samples(stack)
    store = stack.store(tmp_path / "store")
    outcomes = {LIKE: Outcome.PROMOTED, "loan_approval": Outcome.REJECTED}
    for model, outcome in outcomes.items():
        (run,) = stack.api.runs(f"retrain_{model}")
        record = record_of(store, model, run["dag_run_id"])
        assert record.outcome is outcome
        check_invariants(store, model)
        told = stack.messages_about(record)
        assert len(told) == 1, told
        assert f"{stack.url}/" in told[0]


def test_a_person_logs_in_and_nobody_else(stack: Stack) -> None:
    """Airflow's page is there; its API wants a login, and FAB's watchdog may only read."""
    page = httpx.get(f"{stack.url}/auth/login/", follow_redirects=True, trust_env=False)
    assert page.status_code == httpx.codes.OK
    assert "password" in page.text
    anonymous = httpx.get(f"{stack.url}/api/v2/dags", trust_env=False)
    assert anonymous.status_code == httpx.codes.UNAUTHORIZED
    password = stack.settings["WATCHDOG_PASSWORD"]
    with closing(AirflowSession(stack.url, "watchdog", password)) as watchdog:
        assert watchdog.dag(f"retrain_{LIKE}")
        with pytest.raises(AirflowRefused, match="403"):
            watchdog.set_paused(f"retrain_{LIKE}", is_paused=True)


def test_the_settings_are_applied(stack: Stack) -> None:
    """The pool of airflow_settings.yaml is there; its stand-in for Slack is not."""
    assert stack.api.request("GET", "/pools/training")["slots"] == 2
    connections = stack.api.request("GET", "/connections")["connections"]
    assert [one["connection_id"] for one in connections] == []


def test_the_watchdog_sees_that_all_is_well(stack: Stack) -> None:
    """Once Airflow's own watch has looked, the one outside of it finds nothing to tell."""
    stack.api.set_paused("watch_models", is_paused=False)
    run_id = stack.api.trigger("watch_models")
    stack.wait_for(
        lambda: stack.api.run("watch_models", run_id)["state"] == "success", "watch_models"
    )
    said = stack.execute("watchdog", "python", "-c", LOOK)
    assert said.splitlines()[-1] == "all is well", said


def test_every_service_has_a_limit_and_a_check(stack: Stack) -> None:
    """No container may take the whole host, and one can see of each whether it is well."""
    for container in stack.compose("ps", "--all", "--quiet").split():
        described = stack.inspect(container)
        assert described["HostConfig"]["Memory"] > 0, described["Name"]
        if described["State"]["Running"]:
            assert described["State"]["Health"]["Status"] == "healthy", described["Name"]


def test_a_worker_that_is_killed_while_it_trains(stack: Stack, tmp_path: Path) -> None:
    """Another worker trains; there is one version, one promotion and one message."""
    stack.land("slow", LIKE)
    run_id = stack.start_run("slow")
    container = stack.running_task("slow", run_id, "train_model")["hostname"]
    container_engine.docker("kill", container)
    ended = stack.wait_for_end("slow", run_id)
    assert ended["deploy_model"] == "success", ended
    again = stack.api.tasks("retrain_slow", run_id)["train_model"]
    assert again["try_number"] == 2
    assert again["hostname"] != container
    container_engine.docker("start", container)
    check_one_promotion(stack, tmp_path, "slow", run_id)


def test_a_scheduler_that_is_killed_while_a_run_goes_on(stack: Stack, tmp_path: Path) -> None:
    """The engine starts it again and the run goes on, trained once; one promotion, one message."""
    stack.land("slow_too", LIKE)
    run_id = stack.start_run("slow_too")
    stack.running_task("slow_too", run_id, "train_model")
    container_engine.run("exec", stack.container("scheduler"), "python", "-c", KILL)
    ended = stack.wait_for_end("slow_too", run_id)
    assert ended["deploy_model"] == "success", ended
    assert stack.inspect(stack.container("scheduler"))["RestartCount"] == 1
    assert stack.api.tasks("retrain_slow_too", run_id)["train_model"]["try_number"] == 1
    check_one_promotion(stack, tmp_path, "slow_too", run_id)


def test_a_stack_that_is_ended_while_it_trains(stack: Stack, tmp_path: Path) -> None:
    """The worker ends its training and says so before what it needs for that ends.

    Near the end of this file, because it ends the stack; the test after it starts it again.
    """
    stack.land("slow_as_well", LIKE)
    run_id = stack.start_run("slow_as_well")
    trains = stack.running_task("slow_as_well", run_id, "train_model")["hostname"]
    stack.compose("stop")
    names = ("api-server", "redis", "postgres")
    needed = {name: stack.inspect(stack.container(name))["State"] for name in names}
    worker = stack.inspect(trains)["State"]
    assert worker["ExitCode"] == 0, worker
    assert all(worker["FinishedAt"] < state["FinishedAt"] for state in needed.values()), needed
    store = stack.store(tmp_path / "store")
    (run,), _ = store.children("models/slow_as_well/runs/")
    assert store.exists(RunPaths("slow_as_well", run).result("train"))


@pytest.mark.second_host
def test_a_second_host_trains_on_the_data_of_a_bucket(stack: Stack, tmp_path: Path) -> None:
    """Another host's worker takes the queue `training`, this one's the rest; the store is on S3.

    What docs/deployment/compose.md says to do, with one engine for both hosts. Last in this file,
    because it moves the stack to another store.
    """
    address = container_engine.host_address(stack.environment["AIRFLOW_IMAGE"])
    with running_aws(address, tmp_path) as aws:
        store = aws.new_store()
        stack.set(RETRAINING_STORE=store.uri, RETRAINING_STORE_OPTIONS=json.dumps(aws.options))
        stack.set(STACK_ADDRESS=address, WORKER_QUEUES="default")
        stack.add_file("deploy/compose/open-ports.yaml")
        stack.up()
        with second_host(stack, tmp_path / "second", WORKER_QUEUES="training"):
            wait_for_samples(stack)
        (record,) = decisions(store, LIKE)
        assert record.outcome is Outcome.PROMOTED
        check_invariants(store, LIKE)
    tasks = stack.api.tasks(f"retrain_{LIKE}", record.run_id).values()
    ran = [task for task in tasks if task["hostname"]]
    on_second_host = {task["task_id"] for task in ran if task["hostname"] == socket.gethostname()}
    assert on_second_host == {task["task_id"] for task in ran if task["queue"] == "training"}
    assert "train_model" in on_second_host


def wait_for_samples(stack: Stack) -> None:
    """Wait until the service `samples` has ended, and assert that it went well."""
    samples = stack.container("samples")
    stack.wait_for(lambda: not stack.inspect(samples)["State"]["Running"], "end of samples", 400)
    assert stack.inspect(samples)["State"]["ExitCode"] == 0, stack.logs("samples")


def check_one_promotion(stack: Stack, tmp_path: Path, model: str, run_id: str) -> None:
    """Assert that a model has one version, which serves, and that Slack was told of it once."""
    store = stack.store(tmp_path / "store")
    record = record_of(store, model, run_id)
    assert record.outcome is Outcome.PROMOTED
    assert record.serving is not None
    assert record.serving.generation == 1
    versions, _ = store.children(f"models/{model}/versions/")
    assert len(versions) == 1
    told = stack.messages_about(record)
    assert len(told) == 1, told
    check_invariants(store, model)
