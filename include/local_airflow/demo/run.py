"""What `make run` does: a whole Airflow on this machine, two models, real data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.style import Style
from rich.text import Text

from include.local_airflow.cluster import LocalAirflow
from include.local_airflow.demo import samples
from include.local_airflow.demo.activity import Report, activity
from include.local_airflow.demo.commit import commit_of
from include.local_airflow.demo.console import (
    model_address,
    show_address,
    show_decision,
    show_message,
    show_scores,
    show_task,
)
from include.local_airflow.demo.follow import FollowedRun, follow, wait_for_dags
from include.local_airflow.demo.instance_lock import single_instance
from include.local_airflow.demo.scores import scoring_dag_ids, wait_for_scores
from include.local_airflow.demo.store import local_store, store_connection, store_options
from include.local_airflow.errors import LocalAirflowError
from include.local_airflow.ports import LOOPBACK, free_port
from include.local_airflow.rest_client import RUN_ENDED, AirflowSession
from include.local_airflow.settings import apply_settings, read_settings
from include.local_airflow.slack_receiver import SlackReceiver
from include.retraining.config.model import load_model
from include.retraining.decisions import records
from include.retraining.decisions.record import FINISHED, DecisionRecord, Outcome
from include.retraining.exceptions import AirflowUnreachable
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store

RUN_SECONDS = 900.0
# The record of a run that failed is written by a callback, which may come after the run's end.
RECORD_SECONDS = 60.0
DECISIONS_SEARCHED = 100
FOREVER = 10 * 365 * 86400.0
SLACK = "slack_alerts"
WATCH = "watch_models"
# All components start at once, and `watch_models` may run before there is the API server that its
# tasks ask. They ask for two minutes: by Airflow's default a task gives up after ten seconds.
PATIENCE = {
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "40",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "5",
}

# How a run's state must read for its record to be true.
GREEN = frozenset({
    Outcome.PROMOTED,
    Outcome.NO_CHANGE,
    Outcome.DRY_RUN,
    Outcome.SUPERSEDED,
    Outcome.HELD,
    Outcome.TOO_SOON,
})
RED = frozenset({Outcome.DATA_REJECTED, Outcome.NO_DATA})
REFUSED = frozenset({Outcome.REJECTED, Outcome.CANNOT_JUDGE})


class NoRecord(LocalAirflowError):
    """A run ended without a decision record."""


@dataclass(frozen=True)
class Demo:
    """A running Airflow with all that the demonstration needs."""

    root: Path
    airflow: LocalAirflow
    api: AirflowSession
    store: Store
    console: Console


def run_demo(root: Path, *, port: int, once: bool, console: Console) -> int:
    """Start everything, follow the sample models and show what was decided.

    Args:
        root: the repository's root.
        port: the API server's port.
        once: end after the decisions instead of staying up.
        console: where to print.

    Returns:
        0 when every run ended as its decision record says, else 1.
    """
    with ExitStack() as stack:
        stack.enter_context(single_instance(root / ".local", f"http://{LOOPBACK}:{port}"))
        started = datetime.now(UTC)
        demo = _start(stack, root, port, console)
        runs = _start_runs(stack, demo)
        _follow(demo, runs)
        agreements = [_show_end(demo, run) for run in runs]
        agreements += [_show_scores(demo, model, runs, started) for model in samples.INPUTS]
        _show_login(demo)
        if not once:
            console.print("Airflow stays up until Ctrl-C.")
            demo.airflow.wait_for(lambda: None, "end", FOREVER)
        console.print("Ending Airflow …")
    return 0 if all(agreements) else 1


def _start(stack: ExitStack, root: Path, port: int, console: Console) -> Demo:
    """Start Slack's stand-in and Airflow, and apply the settings."""
    uri = local_store(root)
    options = store_options(uri)
    store = store_marker.initialise(uri, options)
    settings = root / "airflow_settings.yaml"
    receiver = stack.enter_context(
        SlackReceiver(
            root / ".local" / "slack.jsonl",
            port=free_port(_slack_port(settings), avoid={port}),
            on_message=lambda message: show_message(console, message),
        )
    )
    connections = {
        "AIRFLOW_CONN_STORE": store_connection(uri, options),
        f"AIRFLOW_CONN_{SLACK.upper()}": receiver.connection,
    }
    console.print(Text(f"Store    {uri}"), soft_wrap=True)
    started = datetime.now(UTC)
    with activity(console) as report:
        airflow = _airflow(root, port, connections, report)
        console.print(Text(f"Starting Airflow (logs: {_short(root, airflow.log_folder)}) …"))
        stack.enter_context(airflow)
        api = AirflowSession(airflow.url, airflow.username, airflow.password)
        stack.callback(api.close)
        report("applying airflow_settings.yaml")
        apply_settings(settings, api)
        report("waiting for the DAG files to be read")
        dag_ids = [*map(_dag_id, samples.SAMPLES), *scoring_dag_ids()]
        wait_for_dags(airflow, api, dag_ids, started)
    seconds = (datetime.now(UTC) - started).total_seconds()
    console.print(Text(f"Airflow is up after {seconds:.0f} s."))
    demo = Demo(root, airflow, api, store, console)
    _show_login(demo)
    return demo


def _airflow(root: Path, port: int, connections: Mapping[str, str], report: Report) -> LocalAirflow:
    return LocalAirflow(
        root,
        root / ".local" / "airflow",
        port=port,
        environment={
            **connections,
            **PATIENCE,
            **_commit(root),
            **_lineage(root / ".local" / "lineage.jsonl"),
        },
        report=report,
    )


def _lineage(file: Path) -> dict[str, str]:
    """Return the settings by which Airflow writes OpenLineage's events, one a line."""
    transport = {"type": "file", "log_file_path": str(file), "append": True}
    return {
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "retraining",
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        # Not in a fork of the task's process: it would lack the threads that the task has.
        "AIRFLOW__OPENLINEAGE__EXECUTE_IN_THREAD": "True",
    }


def _commit(root: Path) -> dict[str, str]:
    """Return the variable that names the commit for runs, where git knows it."""
    commit = commit_of(root)
    return {"GIT_SHA": commit} if commit else {}


def _slack_port(settings: Path) -> int | None:
    """Return the port that the settings name for Slack's stand-in."""
    for connection in read_settings(settings)["connections"]:
        if connection["connection_id"] == SLACK:
            return urlsplit(str(connection.get("host", ""))).port
    return None


def _dag_id(model: str) -> str:
    return load_model(model).dag_id


def _start_runs(stack: ExitStack, demo: Demo) -> list[FollowedRun]:
    """Land the samples and start one run per model, but for those that an earlier session decided.

    Each sample lands once: what was landed is a producer's, and a flag that was decided on starts
    nothing.
    """
    for model, scoring_dag_id in zip(samples.INPUTS, scoring_dag_ids(), strict=True):
        samples.land_input_once(demo.store, model)
        # Before the runs: a promotion while a DAG is paused never starts it.
        demo.api.set_paused(scoring_dag_id, is_paused=False)
        stack.callback(_pause, demo, scoring_dag_id)
    runs = []
    for model in samples.SAMPLES:
        dag_id = _dag_id(model)
        decided = _decided(demo.store, model)
        if decided is None:
            _end_runs(demo, dag_id)
            flag = samples.land_once(demo.store, model)
            demo.console.print(Text(f"Landed   {_address(demo, flag)}"), soft_wrap=True)
            run_id = f"make_run_{datetime.now(UTC):%Y%m%dT%H%M%S}"
            runs.append(FollowedRun(dag_id, demo.api.trigger(dag_id, run_id=run_id)))
        else:
            _show_earlier(demo, decided)
        # Started first and unpaused second, so that no scheduled run takes the flag before it.
        demo.api.set_paused(dag_id, is_paused=False)
        stack.callback(_pause, demo, dag_id)
    # Paused with the models between two sessions: it would raise alarms that they are.
    with suppress(AirflowUnreachable):  # not parsed yet: then it is not paused either
        demo.api.set_paused(WATCH, is_paused=False)
    stack.callback(_pause, demo, WATCH)
    return runs


def _end_runs(demo: Demo, dag_id: str) -> None:
    """End what a session that was killed left behind: it would hold up the new run."""
    for run in demo.api.runs(dag_id):
        if run["state"] not in RUN_ENDED:
            demo.api.set_run_state(dag_id, run["dag_run_id"], "failed")


def _pause(demo: Demo, dag_id: str) -> None:
    """Leave nothing scheduled between two sessions."""
    with suppress(AirflowUnreachable):
        demo.api.set_paused(dag_id, is_paused=True)


def _decided(store: Store, model: str) -> DecisionRecord | None:
    """Return the newest decision that used up a delivery; None before there is one."""
    decided = records.decisions(store, model, limit=DECISIONS_SEARCHED)
    return next((record for record in decided if record.outcome in FINISHED), None)


def _show_earlier(demo: Demo, record: DecisionRecord) -> None:
    """Print what an earlier session decided, and how to decide once more."""
    show_decision(demo.console, record, demo.airflow.url, lambda key: _address(demo, key))
    demo.console.print(
        Text(
            "  It was decided before on the same delivery, so nothing is started. For another run, "
            "open the model's page, press Train now and switch on Retrain by force."
        )
    )


def _follow(demo: Demo, runs: list[FollowedRun]) -> None:
    """Print each task of the runs as it ends."""
    if not runs:
        return
    console = demo.console
    console.print("\nFollowing the runs:")

    def show(run: FollowedRun, task: dict[str, Any]) -> None:
        show_task(console, run, task)

    with activity(console) as report:
        # Elsewhere than on a terminal the lines of the tasks are signs enough.
        where = report if console.is_terminal else lambda _: None
        follow(demo.airflow, demo.api, runs, show, RUN_SECONDS, report=where)


def _show_end(demo: Demo, run: FollowedRun) -> bool:
    """Print a run's decision and return whether the run ended as the record says."""
    model = next(model for model in samples.SAMPLES if _dag_id(model) == run.dag_id)
    record = demo.airflow.wait_for(
        lambda: _record(demo.store, model, run.run_id),
        f"decision record of {run.dag_id}, run {run.run_id}",
        RECORD_SECONDS,
    )
    show_decision(demo.console, record, demo.airflow.url, lambda key: _address(demo, key))
    is_good = run.state in expected_states(record)
    if not is_good:
        demo.console.print(
            Text(f"{run.dag_id}: the run is {run.state}, its record says {record.outcome}", "red")
        )
    return is_good


def _show_scores(demo: Demo, model: str, runs: list[FollowedRun], since: datetime) -> bool:
    """Print what a model's champion scored and return whether that run ended as its record says."""
    is_followed = any(run.dag_id == _dag_id(model) for run in runs)
    scored = wait_for_scores(
        demo.airflow, demo.api, demo.store, model, is_followed=is_followed, since=since
    )
    if scored is None:
        return True
    prefix = f"{demo.store.uri}/"
    show_scores(demo.console, scored.record, lambda uri: _address(demo, uri.removeprefix(prefix)))
    return scored.is_good


def _record(store: Store, model: str, run_id: str) -> DecisionRecord | None:
    for record in records.decisions(store, model, limit=20):
        if record.run_id == run_id:
            return record
    return None


def expected_states(record: DecisionRecord) -> frozenset[str]:
    """Return the states of a run that agree with its record; none when nothing was decided."""
    if record.outcome in GREEN:
        return frozenset({"success"})
    if record.outcome in RED:
        return frozenset({"failed"})
    if record.outcome in REFUSED:
        on_rejection = load_model(record.model).gates.on_rejection
        return frozenset({"success" if on_rejection == "succeed" else "failed"})
    return frozenset()


def _address(demo: Demo, key: str) -> str:
    """Return where to find an object: a path from the clone, or the full address."""
    path = demo.store.local_path(key)
    return f"{demo.store.uri}/{key}" if path is None else _short(demo.root, path)


def _short(root: Path, path: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _show_login(demo: Demo) -> None:
    airflow = demo.airflow
    login = f"user {airflow.username}  password {airflow.password}"
    demo.console.print(
        Text.assemble("Airflow  ", (airflow.url, Style(link=airflow.url)), f"  {login}"),
        soft_wrap=True,
    )
    for model in samples.SAMPLES:
        show_address(demo.console, "model", model_address(model, airflow.url))
