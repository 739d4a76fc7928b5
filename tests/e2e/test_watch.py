"""The watch on a real Airflow: what no run says of itself, and deadlines."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from include.local_airflow.slack_receiver import TOKEN
from include.retraining.decisions.alarm_state import read_alarm_state
from include.retraining.decisions.record import Outcome
from include.retraining.notifications.outbox import last_problem, waiting
from include.retraining.store.layout import promotion_key, watch_key
from include.retraining.watch.heartbeat import last_heartbeat
from tests.support.airflow_harness import EndedRun, Stage, is_alive
from tests.support.backend_models import Platforms, everywhere, on_batch, platforms
from tests.support.repository_copy import add_model, copy_repository
from tests.support.scenes import patients, waiting_for

pytestmark = [pytest.mark.airflow, pytest.mark.rare]

WATCH = "watch_models"
LOOKS = ("resend_notices", "close_dead_runs", "stop_lost_jobs", "check_models", "write_heartbeat")


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
    add_model(root, "ended", values={"deadline": "15s after start"})
    add_model(root, "breaks")
    add_model(root, "lost", values=everywhere(on_batch()), code=waiting_for(switches / "never"))
    # Due all the time, and the deadline of today has just passed.
    trigger = {"schedule": "*/10 * * * *", "timezone": "UTC"}
    deadline = f"{datetime.now(UTC):%H:%M} UTC"
    add_model(root, "never_run", values={"trigger": trigger, "deadline": deadline})
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


def rows(airflow: Stage, query: str) -> list[Any]:
    """Read Airflow's database: no API shows what became of a deadline."""
    database = sqlite3.connect(f"file:{airflow.airflow.home / 'airflow.db'}?mode=ro", uri=True)
    try:
        return list(database.execute(query))
    finally:
        database.close()


def answers(airflow: Stage, run_id: str) -> list[str]:
    """Return what the deadline callbacks of a run answered, as Airflow keeps it."""
    found = rows(airflow, "select data, output from callback where output is not null")
    return [output for data, output in found if run_id in data]


def has_missed(airflow: Stage, run_id: str) -> bool:
    """Return whether Airflow has seen that a run's deadline passed."""
    query = "select r.run_id from deadline d join dag_run r on r.id = d.dagrun_id where d.missed"
    return (run_id,) in rows(airflow, query)


def late_messages(airflow: Stage, model: str) -> list[str]:
    """Return the messages that a run of a model is late."""
    texts = [text for text in airflow.slack.texts if "has not decided by its deadline" in text]
    return [text for text in texts if f"retrain_{model}/" in text]


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
    mark = last_heartbeat(airflow.store)
    assert mark is not None
    assert mark.failed == ()
    assert airflow.slack.messages[before:] == []


@pytest.mark.fault("J01")
def test_a_late_run_is_told_once_while_it_runs(airflow: Stage, switches: Path) -> None:
    """The message comes while it still runs, names the run, and comes once."""
    run_id = training(airflow, "late")
    text = airflow.wait_for_message("late", "has not decided by its deadline", timeout_seconds=90)
    assert "retrain_late" in text
    assert airflow.api.run("retrain_late", run_id)["state"] == "running"
    (switches / "late").touch()
    airflow.wait_for_end("late", run_id)
    assert len(late_messages(airflow, "late")) == 1


@pytest.mark.fault("J01", "J03")
def test_a_triggerer_that_is_down_at_the_deadline_tells_later(
    airflow: Stage, switches: Path
) -> None:
    """Back again, it tells of the run that still goes on, and not of the one that has ended."""
    airflow.airflow.kill_component("triggerer")
    late = training(airflow, "late_later")
    airflow.land("ended", b"no table\n")
    over = airflow.start_run("ended")
    assert airflow.wait_for_end("ended", over).state == "failed"
    for run_id in (late, over):
        airflow.wait_for(lambda run_id=run_id: has_missed(airflow, run_id), f"deadline of {run_id}")
    assert late_messages(airflow, "late_later") == []
    airflow.airflow.start_component("triggerer")
    airflow.wait_for_message("late_later", "has not decided by its deadline", timeout_seconds=120)
    (answer,) = airflow.wait_for(lambda: answers(airflow, over), "the callback", 120)
    assert "has ended: failed" in answer
    (switches / "late_later").touch()
    airflow.wait_for_end("late_later", late)
    assert len(late_messages(airflow, "late_later")) == 1
    assert late_messages(airflow, "ended") == []


@pytest.mark.fault("J04", "H01")
def test_slack_down_at_the_deadline_delays_the_message(airflow: Stage, switches: Path) -> None:
    """It waits in the outbox, the watch is red meanwhile, and sends it once Slack is back."""
    airflow.slack.stop()
    run_id = training(airflow, "late_unheard")
    (answer,) = airflow.wait_for(lambda: answers(airflow, run_id), "the callback", 120)
    assert "is late" in answer
    (key,) = [notice.key for notice in waiting(airflow.store) if notice.event == "late"]
    assert last_problem(airflow.store, key) is not None
    airflow.slack.start()

    def told() -> list[str]:
        watch(airflow)
        return late_messages(airflow, "late_unheard")

    airflow.wait_for(told, "the message", 400)
    assert len(late_messages(airflow, "late_unheard")) == 1
    assert list(waiting(airflow.store)) == []
    (switches / "late_unheard").touch()
    airflow.wait_for_end("late_unheard", run_id)


@pytest.mark.fault("D04")
def test_a_run_ended_over_the_heads_of_all_leaves_nothing_behind(here: Platforms) -> None:
    """Marked failed as a whole while the triggerer is down: nobody is called, and a job goes on.

    The watch writes the record, stops the job, and tells of each once.
    """
    airflow = here.airflow
    run_id = training(airflow, "lost")
    (name,) = airflow.wait_for(
        lambda: [name for name in here.submissions("lost") if "-train-" in name], "the job"
    )
    job = psutil.Process(here.process_of(name))
    airflow.airflow.kill_component("triggerer")
    airflow.api.set_run_state("retrain_lost", run_id, "failed")
    airflow.wait_for_end("lost", run_id)
    airflow.airflow.start_component("triggerer")

    def settled() -> bool:
        watch(airflow)
        return bool(airflow.records("lost")) and not is_alive(job)

    airflow.wait_for(settled, "the record and the end of the job", 400)
    (record,) = airflow.records("lost")
    assert (record.run_id, record.outcome) == (run_id, Outcome.FAILED)
    airflow.wait_for_message(record.run, "the run broke")
    airflow.wait_for_message(record.run, "an orphaned job was stopped", name)
    watch(airflow)
    assert len(airflow.messages_about(record.run)) == 2
    airflow.check_invariants("lost", record)


@pytest.mark.fault("J06")
def test_a_run_that_was_never_created_is_late_by_the_clock(airflow: Stage) -> None:
    """Its DAG is paused: the message says so, and comes once."""
    place = "models/never_run"
    long_ago = read_alarm_state(airflow.store, place, now=datetime.now(UTC)).model_copy(
        update={"since": datetime.now(UTC) - timedelta(days=2)}
    )
    airflow.store.write(watch_key(place), long_ago.to_bytes())
    assert watch(airflow).state == "success"
    text = airflow.wait_for_message("no decision by")
    assert "its DAG is paused" in text
    watch(airflow)
    assert len([text for text in airflow.slack.texts if "no decision by" in text]) == 1


def test_a_damaged_promotion_log_is_told_and_hides_no_other_model(airflow: Stage) -> None:
    """Once while it is damaged and once when it is over; the look at the other models goes on."""
    key = promotion_key("ended", 1)
    airflow.store.write(key, b"{")
    assert watch(airflow).state == "success"
    airflow.wait_for_message("the promotion log is damaged", "00000001.json", "verify ended")
    seen = str(airflow.api.xcom(WATCH, watch(airflow).run_id, "check_models"))
    assert "ended: " in seen
    assert "never_run: " in seen
    airflow.store.delete(key)
    watch(airflow)
    airflow.wait_for_message("the promotion log can be read again")
    assert len([text for text in airflow.slack.texts if "promotion log is damaged" in text]) == 1


@pytest.mark.fault("H10")
def test_a_configuration_that_breaks_is_told_and_hides_no_other_model(airflow: Stage) -> None:
    """The next look tells it, stays green, and tells when it is mended."""
    file = airflow.airflow.root / "include" / "models" / "breaks.yaml"
    good = file.read_text()
    file.write_text(good.replace("seed:", "sead:"))
    assert watch(airflow).state == "success"
    (told,) = [text for text in airflow.slack.texts if "its configuration is wrong" in text]
    assert "breaks.yaml: training.s" in told
    file.write_text(good)
    assert watch(airflow).state == "success"
    assert [text for text in airflow.slack.texts if "configuration can be read again" in text]


def test_someone_outside_tells_that_airflow_is_dead(airflow: Stage, tmp_path: Path) -> None:
    """Quiet when all is well; then a file breaks, and then nobody answers any more."""
    watch(airflow)
    token = httpx.post(
        f"{airflow.airflow.url}/auth/token",
        json={"username": airflow.airflow.username, "password": airflow.airflow.password},
        trust_env=False,
    ).json()["access_token"]
    environment = {
        "PATH": os.environ["PATH"],
        "RETRAINING_STORE": airflow.store.uri,
        "AIRFLOW_API_URL": airflow.airflow.url,
        "AIRFLOW_API_TOKEN": token,
        "SLACK_WEBHOOK_URL": f"http://127.0.0.1:{airflow.slack.port}/services/{TOKEN}",
        "NO_PROXY": "127.0.0.1",
    }

    def look() -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "include.retraining", "watch"],
            cwd=airflow.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout == ""
        assert token not in done.stderr
        return done.returncode, done.stderr

    assert look() == (0, "")
    broken = airflow.root / "dags" / "broken.py"
    broken.write_text("from airflow.sdk import dag\nimport no_such_package\n")
    airflow.wait_for(airflow.api.import_errors, "import error", 120)
    code, said = look()
    assert (code, said.count("\n")) == (1, 1)
    assert "broken.py: ModuleNotFoundError" in said
    broken.unlink()
    airflow.airflow.kill_component("api-server")
    code, said = look()
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("airflow_unreachable: Airflow does not answer")
    airflow.wait_for_message("DAG file(s) cannot be read")
    airflow.wait_for_message("Airflow does not answer")
    airflow.airflow.start_component("api-server")
