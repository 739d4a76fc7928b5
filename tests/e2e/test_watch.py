"""The watch on a real Airflow: what no run says of itself, and deadlines."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.local_airflow.repository_copy import add_model, copy_repository
from include.retraining.decision_record import Outcome
from include.retraining.watch_mark import last_mark
from tests.e2e.backends import Platforms, everywhere, on_batch, platforms
from tests.e2e.harness import EndedRun, Stage
from tests.e2e.scenes import patients, waiting_for

pytestmark = [pytest.mark.airflow, pytest.mark.slow, pytest.mark.timeout(600)]

WATCH = "watch_models"
LOOKS = ("resend_notices", "close_dead_runs", "stop_lost_jobs", "check_models", "leave_mark")


@pytest.fixture(scope="module")
def switches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder; a model trains once a file of its name is there."""
    return tmp_path_factory.mktemp("switches")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, switches: Path) -> Iterator[Platforms]:
    """Airflow, Batch and Slack, with a model for each test."""
    root = copy_repository(tmp_path_factory.mktemp("repository"))
    for name in ("late", "late_later", "late_unheard"):
        values = {"deadline": "15s after start"}
        add_model(root, name, values=values, code=waiting_for(switches / name))
    add_model(root, "ended", values={"deadline": "25s after start"})
    add_model(root, "marked", code=waiting_for(switches / "never"))
    add_model(root, "lost", values=everywhere(on_batch()), code=waiting_for(switches / "never"))
    with platforms(tmp_path_factory.mktemp("stage"), root) as running:
        yield running


@pytest.fixture
def airflow(here: Platforms) -> Stage:
    """The running Airflow."""
    return here.airflow


def watch(airflow: Stage) -> EndedRun:
    """Let the watch look once, from now on, and return how that ended."""
    airflow.wait_for(lambda: airflow.api.dag(WATCH), f"DAG {WATCH}")
    run_id = airflow.api.trigger(WATCH)
    airflow.api.set_paused(WATCH, is_paused=False)
    run = airflow.wait_for(lambda: ended(airflow, run_id), f"end of {run_id}", 240)
    tasks = {key: task["state"] for key, task in airflow.api.tasks(WATCH, run_id).items()}
    airflow.api.set_paused(WATCH, is_paused=True)
    return EndedRun(run_id, run["state"], tasks)


def ended(airflow: Stage, run_id: str) -> dict[str, Any] | None:
    """Return a run of the watch once it has ended."""
    run = airflow.api.run(WATCH, run_id)
    return run if run["state"] in {"success", "failed"} else None


def callbacks(airflow: Stage, run_id: str) -> list[str]:
    """Return what the deadline callbacks of a run answered, as Airflow keeps it."""
    database = sqlite3.connect(f"file:{airflow.airflow.home / 'airflow.db'}?mode=ro", uri=True)
    try:
        rows = database.execute("select data, output from callback where output is not null")
        return [output for data, output in rows if run_id in data]
    finally:
        database.close()


def training(airflow: Stage, model: str) -> str:
    """Start a run, wait until it trains, and return its id."""
    airflow.land(model, patients())
    run_id = airflow.start_run(model)
    airflow.wait_for_task(model, run_id, "train_model", "running", "deferred")
    return run_id


def test_a_look_is_green_and_leaves_its_mark(airflow: Stage) -> None:
    """Nothing is wrong: every task succeeds, nobody is told, and the mark says so."""
    before = len(airflow.slack.messages)
    looked = watch(airflow)
    assert looked.tasks == dict.fromkeys(LOOKS, "success")
    mark = last_mark(airflow.store)
    assert mark is not None
    assert mark.failed == ()
    assert airflow.slack.messages[before:] == []


def test_a_run_marked_failed_as_a_whole_gets_its_record(airflow: Stage) -> None:
    """Airflow calls nobody then: the watch writes the record and tells, once."""
    run_id = training(airflow, "marked")
    airflow.api.set_run_state("retrain_marked", run_id, "failed")
    airflow.wait_for_end("marked", run_id)

    def closed() -> bool:
        watch(airflow)
        return any(record.run_id == run_id for record in airflow.records("marked"))

    airflow.wait_for(closed, "the record", 400)
    (record,) = airflow.records("marked")
    assert record.outcome is Outcome.FAILED
    assert "without a word" in record.reason
    airflow.wait_for_message(record.run)
    watch(airflow)
    assert len(airflow.messages_about(record.run)) == 1


@pytest.mark.fault("J01")
def test_a_late_run_is_told_once_while_it_runs(airflow: Stage, switches: Path) -> None:
    """The message comes while it still runs, names the run, and comes once."""
    run_id = training(airflow, "late")
    text = airflow.wait_for_message("late", "has not decided by its deadline", timeout_seconds=90)
    assert "retrain_late" in text
    assert airflow.api.run("retrain_late", run_id)["state"] == "running"
    (switches / "late").touch()
    airflow.wait_for_end("late", run_id)
    late = [text for text in airflow.slack.texts if "by its deadline" in text]
    assert len([text for text in late if "retrain_late/" in text]) == 1
