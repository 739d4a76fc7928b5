"""What the external watchdog checks, each as the alarm it raises."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from include.retraining.exceptions import AirflowUnreachable, EvidenceError, RetrainingError
from include.retraining.formatting.times import utc_minute
from include.retraining.notifications.outbox import waiting
from include.retraining.store.object_store import Store
from include.retraining.watch.airflow_api import AirflowApi, Waiting
from include.retraining.watch.alarms import Alarm
from include.retraining.watch.heartbeat import last_heartbeat

TAG = "retraining"
WATCH_DAG = "watch_models"
STORE = "store"
SILENT = timedelta(minutes=20)
"""How old the last heartbeat may be: the watch writes one every five minutes."""
STUCK = timedelta(minutes=30)
"""How long a run or a task may be queued with nothing before it."""
UNSENT = timedelta(minutes=30)
"""How long a message may wait: as long as the outbox's longest pause, twice."""


def store_alarm(error: RetrainingError) -> Alarm:
    """Return the alarm of a store that cannot be read or written."""
    return Alarm(
        condition=STORE,
        title="The store",
        headline="the store cannot be used",
        why=str(error),
        step="Restore it: consumers read the champion from it.",
        over="the store can be used again",
        runbook="store",
    )


def unhealthy(airflow: AirflowApi) -> Iterator[Alarm]:
    """Yield an alarm when a part of Airflow does not work."""
    ill = {part: state for part, state in airflow.health().items() if state != "healthy"}
    if ill:
        yield Alarm(
            condition="airflow_unhealthy",
            title="Airflow",
            headline="a part of Airflow does not work",
            why=", ".join(f"{part} is {state}" for part, state in ill.items()) + ".",
            step=f"Check the log of {', '.join(ill)} and start it again.",
            over="every part of Airflow works again",
            runbook="airflow_unhealthy",
        )


def import_errors(airflow: AirflowApi) -> Iterator[Alarm]:
    """Yield an alarm when a DAG file cannot be read, naming the first."""
    errors = airflow.import_errors()
    if errors:
        file, traceback = errors[0]
        more = f" And {len(errors) - 1} more." if len(errors) > 1 else ""
        yield Alarm(
            condition="import_errors",
            title="Airflow",
            headline=f"{len(errors)} DAG file(s) cannot be read",
            why=f"{file}: {traceback.splitlines()[-1]}{more}",
            step="Fix the file, or revert the commit: its DAGs are not scheduled meanwhile.",
            over="every DAG file can be read again",
            runbook="import_errors",
        )


def stuck(airflow: AirflowApi) -> Iterator[Alarm]:
    """Yield an alarm when runs or tasks stay in the queue."""
    before = datetime.now(UTC) - STUCK
    stuck: list[Waiting] = [*airflow.queued_runs(before), *airflow.queued_tasks(before)]
    if stuck:
        first = min(stuck, key=lambda one: one.since)
        yield Alarm(
            condition="stuck_in_queue",
            title="Airflow",
            headline=f"{len(stuck)} run(s) or task(s) stay in the queue",
            why=f"{first.dag_id}: {first.what} is queued since "
            f"{utc_minute(first.since)}, with nothing before it.",
            step="See whether the executor and its workers run.",
            over="nothing stays in the queue any more",
            runbook="stuck_in_queue",
        )


def silent(store: Store, airflow: AirflowApi) -> Iterator[Alarm]:
    """Yield an alarm when the watch in Airflow does not do its work."""
    why = _why_silent(store)
    if why:
        yield Alarm(
            condition="watch_silent",
            title="The watch",
            headline=f"`{WATCH_DAG}` does not do its work",
            why=f"{why}{_pauses(airflow)}",
            step=f"Open `{WATCH_DAG}` in Airflow: unpause it, or read the log of the red task.",
            over=f"`{WATCH_DAG}` does its work again",
            runbook="watch_silent",
        )


def _why_silent(store: Store) -> str | None:
    try:
        mark = last_heartbeat(store)
    except EvidenceError as error:
        return str(error)
    if mark is None:
        return "It has never written a heartbeat to the store."
    if mark.at > datetime.now(UTC) + SILENT:
        return (
            f"Its last heartbeat claims to be of {mark.at.astimezone(UTC):%Y-%m-%d}, in the future."
        )
    if mark.at < datetime.now(UTC) - SILENT:
        return f"Its last heartbeat is of {utc_minute(mark.at)}."
    if mark.failed:
        return f"At its last check {', '.join(mark.failed)} failed."
    return None


def _pauses(airflow: AirflowApi) -> str:
    """Report which DAGs are paused: while the watch is silent, nothing else does."""
    try:
        paused = airflow.paused(TAG)
    except AirflowUnreachable:
        return ""  # that is an alarm of its own
    return f" Paused: {', '.join(paused)}." if paused else ""


def unsent(store: Store) -> Iterator[Alarm]:
    """Yield an alarm when messages have waited too long to be sent."""
    before = datetime.now(UTC) - UNSENT
    old = [notice for notice in waiting(store) if notice.created_at < before]
    if old:
        first = min(old, key=lambda notice: notice.created_at)
        yield Alarm(
            condition="notices_wait",
            title="Alerts",
            headline=f"{len(old)} message(s) wait to be sent",
            why=f"The oldest, {first.key}, since {utc_minute(first.created_at)}.",
            step="See why: `resend_notices` in `watch_models` logs what Slack answered.",
            over="no message waits any more",
            runbook="outbox",
        )
