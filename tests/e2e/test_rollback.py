"""A person rolls a model back and releases it, on a real Airflow."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from include.local_airflow.rest_client import RUN_ENDED
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.exceptions import AirflowRefused
from include.retraining.publishing.publication import Publication
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.store import layout
from tests.support.airflow_harness import EndedRun, Stage
from tests.support.repository_copy import add_model
from tests.support.scenes import patients, with_poor_training_labels
from tests.support.shared_airflow import SharedAirflow

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

MODEL = "rolled_back"
POINTER = f"published/{MODEL}.json"
LISTENER = f"""
from airflow.sdk import DAG, Asset, task

with DAG("listen_{MODEL}", schedule=[Asset("{MODEL}_champion")], is_paused_upon_creation=False):

    @task
    def note(triggering_asset_events=None):
        return [event.extra for events in triggering_asset_events.values() for event in events]

    note()
"""


@pytest.fixture(scope="module")
def airflow(shared: SharedAirflow) -> Iterator[Stage]:
    """A real Airflow with a model to roll back and a DAG that listens to its champion."""
    with shared.with_models(add_models) as running:
        yield running


def add_models(root: Path) -> None:
    """Add a model to roll back and a DAG that listens to its champion."""
    pointer = {"pointer": {"address": POINTER}}
    add_model(root, MODEL, values={"gates": {"minimum": {"r2": 0.0}}, "publish": pointer})
    (root / "dags" / f"listen_{MODEL}.py").write_text(LISTENER)


@pytest.fixture(scope="module")
def served(airflow: Stage) -> list[PromotionEntry]:
    """Two versions that served, the second of which is bad."""
    airflow.land(MODEL, with_poor_training_labels(seed=1))
    airflow.run(MODEL)
    airflow.land(MODEL, patients())
    airflow.run(MODEL)
    entries = airflow.promotions(MODEL)
    assert len({entry.version for entry in entries}) == 2
    return entries


def ask(airflow: Stage, dag_id: str, conf: Mapping[str, Any]) -> str:
    """Trigger a DAG as a person does, and return the run's id."""
    airflow.wait_for(lambda: airflow.api.dag(dag_id), f"DAG {dag_id}")
    return airflow.api.trigger(dag_id, conf)


def end_of(airflow: Stage, dag_id: str, run_id: str) -> EndedRun:
    """Wait for a run's end."""

    def look() -> EndedRun | None:
        state = airflow.api.run(dag_id, run_id)["state"]
        if state not in RUN_ENDED:
            return None
        tasks = airflow.api.tasks(dag_id, run_id)
        return EndedRun(run_id, state, {name: task["state"] for name, task in tasks.items()})

    return airflow.wait_for(look, f"end of {dag_id} {run_id}", 300)


def act(airflow: Stage, dag_id: str, conf: Mapping[str, Any]) -> EndedRun:
    """Trigger a DAG and wait for the run's end."""
    return end_of(airflow, dag_id, ask(airflow, dag_id, conf))


def named_by_pointer(airflow: Stage) -> tuple[int, str] | None:
    """Return the generation and the version that the model's pointer names."""
    data = airflow.store.read_if_present(POINTER)
    if data is None:
        return None
    publication = Publication.from_bytes(data, where=POINTER)
    return publication.generation, publication.version


def retrain(airflow: Stage, reason: str) -> DecisionRecord:
    """Retrain by force, and return the decision."""
    conf = {"force_retrain": True, "reason": reason}
    run_id = ask(airflow, f"retrain_{MODEL}", conf)
    return airflow.record(MODEL, run_id, timeout_seconds=180)


@pytest.mark.fault("G10", "N05")
def test_a_person_rolls_back_and_releases(airflow: Stage, served: list[PromotionEntry]) -> None:
    """Dry run; rollback in under a minute; the next run is held; release; the next run promotes.

    The pointer to the champion follows the log, by the DAG that there is for published models.
    """
    first, second = served
    ended = act(airflow, "rollback_model", {"model": MODEL, "reason": "complaints"})
    assert ended.tasks == {
        "check_request": "success",
        "try_version": "success",
        "roll_back": "skipped",
        "report_dry_run": "success",
    }
    said = airflow.api.xcom("rollback_model", ended.run_id, "report_dry_run")
    assert f"version {first.version}" in said
    assert f"instead of version {second.version} (generation 2)" in said
    assert "answers on" in said
    assert airflow.promotions(MODEL) == served

    started = time.monotonic()
    conf = {"model": MODEL, "reason": "it refuses everyone", "dry_run": False}
    ended = act(airflow, "rollback_model", conf)
    took = time.monotonic() - started
    assert ended.tasks == {
        "check_request": "success",
        "try_version": "success",
        "roll_back": "success",
        "report_dry_run": "skipped",
    }
    print(f"from the trigger to the end of the rollback: {took:.1f} s")  # noqa: T201
    entry = airflow.promotions(MODEL)[-1]
    assert (entry.generation, entry.kind) == (3, PromotionKind.ROLLBACK)
    assert (entry.version, entry.version_digest) == (first.version, first.version_digest)
    assert (entry.actor, entry.reason, entry.is_held) == ("admin", "it refuses everyone", True)
    assert entry.request == f"rollback_model/{ended.run_id}"
    text = airflow.wait_for_message("rolled back by admin", first.version)
    for words in ("it refuses everyone", "release_model", "rolled_back.md", second.version):
        assert words in text

    def event() -> list[Any] | None:
        runs = airflow.api.runs(f"listen_{MODEL}")
        notes = [airflow.api.xcom(f"listen_{MODEL}", run["dag_run_id"], "note") for run in runs]
        return [
            note for note in notes if {"version": first.version, "generation": 3} in (note or [])
        ]

    airflow.wait_for(event, "a run by the rollback's event")
    airflow.wait_for(
        lambda: named_by_pointer(airflow) == (3, first.version), "the rollback in the pointer"
    )
    print(f"from the trigger to the pointer: {time.monotonic() - started:.1f} s")  # noqa: T201

    airflow.api.clear("rollback_model", ended.run_id)
    again = end_of(airflow, "rollback_model", ended.run_id)
    assert again.tasks == ended.tasks
    assert airflow.promotions(MODEL)[-1] == entry

    record = retrain(airflow, "once more")
    assert record.outcome is Outcome.HELD

    ended = act(airflow, "release_model", {"model": MODEL, "reason": "labels repaired"})
    assert ended.state == "success"
    entry = airflow.promotions(MODEL)[-1]
    assert (entry.kind, entry.version, entry.is_held) == (
        PromotionKind.RELEASE,
        first.version,
        False,
    )
    assert (entry.actor, entry.reason) == ("admin", "labels repaired")
    airflow.wait_for_message("released by admin", f"trigger `retrain_{MODEL}`")

    record = retrain(airflow, "after the release")
    assert record.outcome is Outcome.PROMOTED
    assert record.cause.user == "admin"
    assert record.params is not None
    assert (record.params.force_retrain, record.params.reason) == (True, "after the release")
    assert airflow.promotions(MODEL)[-1].actor == "admin"


def test_a_rollback_that_fails_changes_nothing(
    airflow: Stage, served: list[PromotionEntry]
) -> None:
    """What is typed wrong, a hold that is none, a damaged version: red, told once, no entry."""
    before = airflow.promotions(MODEL)
    target = served[1].version
    for wrong in ({}, {"reason": ""}, {"reason": "a\nb"}, {"reason": "x", "dry_run": 1}):
        with pytest.raises(AirflowRefused):
            airflow.api.trigger("rollback_model", {"model": MODEL, **wrong})
    with pytest.raises(AirflowRefused):
        airflow.api.trigger("rollback_model", {"model": "nobody's", "reason": "x"})

    conf = {"model": MODEL, "reason": "complaints", "dry_run": False, "version": target}
    smuggled = act(airflow, "rollback_model", {**conf, "force": True})
    assert smuggled.tasks["check_request"] == "failed"
    text = airflow.wait_for_message("unknown parameter 'force'", quote(smuggled.run_id, safe=""))
    for words in ("the rollback failed", "rollback_failed.md", before[-1].version):
        assert words in text

    ended = act(airflow, "release_model", {"model": MODEL, "reason": "nothing to release"})
    assert ended.state == "failed"
    airflow.wait_for_message("nothing is on hold", quote(ended.run_id, safe=""))

    model_file = next(
        info.key
        for info in airflow.store.objects(layout.version_folder(MODEL, target))
        if info.key.endswith(".skops")
    )
    airflow.store.write(model_file, b"not what served")
    damaged = act(airflow, "rollback_model", conf)
    assert damaged.tasks["try_version"] == "failed"
    assert damaged.tasks["roll_back"] == "upstream_failed"
    airflow.wait_for_message("altered", quote(damaged.run_id, safe=""))
    assert airflow.promotions(MODEL) == before
    told = [
        text
        for text in airflow.messages_about(quote(damaged.run_id, safe=""))
        if "the rollback failed" in text
    ]
    assert len(told) == 1


def test_upkeep_trims_the_database_of_an_airflow_that_runs(
    airflow: Stage, served: list[PromotionEntry]
) -> None:
    """What ended long ago is gone from Airflow; its record and the newer runs are there."""
    assert served
    dag_id = f"retrain_{MODEL}"
    old, *newer = (run["dag_run_id"] for run in reversed(airflow.api.runs(dag_id)))
    with sqlite3.connect(airflow.airflow.home / "airflow.db", timeout=60) as database:
        update = (
            "UPDATE dag_run SET run_after = datetime(run_after, '-200 days'), "
            "end_date = datetime(end_date, '-200 days') WHERE run_id = ?"
        )
        database.execute(update, [old])
    run_id = ask(airflow, "upkeep", {})
    airflow.api.set_paused("upkeep", is_paused=False)
    ended = end_of(airflow, "upkeep", run_id)
    assert ended.tasks == {"remove_garbage": "success", "trim_database": "success"}
    said = airflow.api.xcom("upkeep", ended.run_id, "trim_database")
    assert said.startswith("removed 1 runs that were due before ")
    assert {run["dag_run_id"] for run in airflow.api.runs(dag_id)} == set(newer)
    assert airflow.record(MODEL, old).outcome is Outcome.PROMOTED


@pytest.mark.fault("H15")
def test_messages_are_silenced_and_listed_when_that_ends(airflow: Stage) -> None:
    """A failure that is known sends nothing; once the silence is ended, one message names it."""
    silence = {"model": MODEL, "kind": "broken", "reason": "the release is being tried"}
    with pytest.raises(AirflowRefused):
        airflow.api.trigger("silence_alerts", {**silence, "hours": 337})
    assert act(airflow, "silence_alerts", {**silence, "hours": 1}).state == "success"
    airflow.wait_for_message("`broken` messages are silenced until", "by admin")
    ended = act(airflow, "release_model", {"model": MODEL, "reason": "nothing to release again"})
    assert ended.state == "failed"
    # The message is held by a callback, which may run after the end is seen.
    airflow.wait_for(
        lambda: any(".silenced-" in info.key for info in airflow.store.objects("outbox/")),
        "held message",
    )
    assert act(airflow, "silence_alerts", {**silence, "action": "end"}).state == "success"
    text = airflow.wait_for_message("message(s) were silenced", "by admin")
    assert "the hold was not released" in text
