"""The external watchdog: one check from outside, because a dead scheduler cannot report itself.

For cron or a small container. It notifies once of what is wrong, through the same outbox as
everything else, and prints it at each check; it is silent only when all is well. One process at a
time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from include.retraining.alerts.notice import Links, Notice, NoticeKind, alert
from include.retraining.alerts.outbox import deliver, last_problem, waiting
from include.retraining.alerts.slack import TIMEOUT_SECONDS, quiet_logger, send
from include.retraining.exceptions import (
    AirflowUnreachable,
    ConfigError,
    EvidenceError,
    NotSent,
    RetrainingError,
    StorageError,
)
from include.retraining.store.marker import open_store
from include.retraining.store.object_store import URI_VARIABLE, Store
from include.retraining.store.redaction import redact
from include.retraining.watch.airflow_api import AirflowApi, Waiting
from include.retraining.watch.alarms import Alarm, update_alarms
from include.retraining.watch.heartbeat import last_heartbeat
from include.retraining.watch.local_state import (
    PLACE,
    flush_local_alarms,
    own_folder,
    update_alarms_locally,
)

URL_VARIABLE = "AIRFLOW_API_URL"
TOKEN_VARIABLE = "AIRFLOW_API_TOKEN"  # noqa: S105 the variable's name
SLACK_VARIABLE = "SLACK_WEBHOOK_URL"
REPOSITORY_VARIABLE = "RETRAINING_REPOSITORY_URL"

TAG = "retraining"
WATCH_DAG = "watch_models"
STORE = "store"
SILENT = timedelta(minutes=20)
"""How old the last heartbeat may be: the watch writes one every five minutes."""
STUCK = timedelta(minutes=30)
"""How long a run or a task may be queued with nothing before it."""
UNSENT = timedelta(minutes=30)
"""How long a message may wait: as long as the outbox's longest pause, twice."""

_ADDRESS = re.compile(r"https?://(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]+)?(?:/[!-~]*)?", re.ASCII)
_TOKEN = re.compile(r"[!-~]+")

Check = Callable[[], Iterator[Alarm]]


@dataclass(frozen=True)
class Settings:
    """Where everything is. From the environment alone: arguments can be seen by everyone."""

    store: str
    airflow: str
    token: str
    webhook: str
    repository: str | None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        """Read the environment.

        Raises:
            ConfigError: naming every variable that is missing, or one that is no address or token.
        """
        names = (URI_VARIABLE, URL_VARIABLE, TOKEN_VARIABLE, SLACK_VARIABLE)
        missing = [name for name in names if not environment.get(name)]
        if missing:
            raise ConfigError(f"nothing is watched: set {', '.join(missing)}")
        for name in (URL_VARIABLE, SLACK_VARIABLE):
            if not _ADDRESS.fullmatch(environment[name]):  # not shown: a webhook is a secret
                raise ConfigError(f"nothing is watched: {name} is no address, https://HOST/PATH")
        if not _TOKEN.fullmatch(environment[TOKEN_VARIABLE]):
            raise ConfigError(f"nothing is watched: {TOKEN_VARIABLE} is no token of Airflow's")
        return cls(
            store=environment[URI_VARIABLE],
            airflow=environment[URL_VARIABLE],
            token=environment[TOKEN_VARIABLE],
            webhook=environment[SLACK_VARIABLE],
            repository=environment.get(REPOSITORY_VARIABLE),
        )


def watch(environment: Mapping[str, str]) -> list[str]:
    """Check once, notify of what is wrong or over, and return what is wrong, a line each.

    Args:
        environment: with `RETRAINING_STORE`, `AIRFLOW_API_URL`, `AIRFLOW_API_TOKEN` and
            `SLACK_WEBHOOK_URL`.

    Raises:
        ConfigError: when one of them is missing.
    """
    settings = Settings.of(environment)
    links = Links(repository=settings.repository)
    seen = _Seen()
    with AirflowApi(settings.airflow, settings.token) as airflow:
        _check_airflow(seen, airflow)
        store = _check_store(seen, settings.store, airflow)
    notifier = _Notifier(settings.webhook)
    notifier.lines += [f"{alarm.condition}: {alarm.headline}: {alarm.why}" for alarm in seen.alarms]
    if store is not None:
        try:
            alarms = [replace(alarm, links=links) for alarm in seen.alarms]
            notify = notifier.through(store)
            update_alarms(store, PLACE, alarms, notify, checked=seen.checked, links=links)
        except StorageError as error:  # it went away during the check
            notifier.lines.append(f"{STORE}: {error}")
            seen.alarms.append(_store_alarm(error))
    alarms = [replace(alarm, links=links) for alarm in seen.alarms]
    _update_alarms_locally(own_folder(environment, settings.store), alarms, notifier, seen, links)
    return [redact(" ".join(line.split())) for line in notifier.lines]


def _update_alarms_locally(
    folder: Path | None, alarms: list[Alarm], notifier: _Notifier, seen: _Seen, links: Links
) -> None:
    """Keep and send the alarms of a store that is down, and that it is back."""
    is_down = any(alarm.condition == STORE for alarm in alarms)
    checked = seen.checked | {STORE}
    try:
        if folder is None:
            if is_down:
                _notify_directly(alarms, notifier.through(None))
        elif is_down:
            update_alarms_locally(folder, alarms, notifier.through, checked=checked, links=links)
        else:
            flush_local_alarms(
                folder, alarms, notifier.through, notifier.slack, checked=checked, links=links
            )
    except NotSent as error:
        notifier.lines.append(f"slack: {error}")
    except (OSError, RetrainingError) as error:
        notifier.lines.append(f"{folder}: {error}")
        if is_down:
            _notify_directly(alarms, notifier.through(None))


class _Notifier:
    """Sends to Slack, and collects the lines that this check prints."""

    def __init__(self, webhook: str) -> None:
        self.lines: list[str] = []
        self._webhook = webhook

    def slack(self, notice: Notice) -> None:
        """Send a notice.

        Raises:
            NotSent: when it did not arrive.
        """
        from slack_sdk.webhook import WebhookClient

        client = WebhookClient(
            self._webhook,
            timeout=int(TIMEOUT_SECONDS),
            retry_handlers=[],
            logger=quiet_logger(),
        )
        send(client, notice)

    def through(self, place: Store | None) -> Callable[[Notice], None]:
        """Return what delivers notices through a store's outbox, or without one; never raises."""

        def notify(notice: Notice) -> None:
            try:
                if place is None:
                    self.slack(notice)
                elif not deliver(place, notice, self.slack):
                    self._report_unsent(place, notice)
            except Exception as error:  # noqa: BLE001 any failure of Slack is printed
                self.lines.append(f"slack: not notified of {notice.event}: {error}")

        return notify

    def _report_unsent(self, place: Store, notice: Notice) -> None:
        noted = last_problem(place, notice.key)
        if noted is not None:
            again = f"{noted.again_at.astimezone(UTC):%H:%M:%S} UTC"
            self.lines.append(
                f"slack: not notified of {notice.event} yet: {noted.problem}; it will be retried "
                f"after {again}"
            )


class _Seen:
    """The alarms of one check, and the conditions that could be checked."""

    def __init__(self) -> None:
        self.alarms: list[Alarm] = []
        self.checked: set[str] = set()

    def at(self, *conditions: str, check: Check) -> None:
        """Check conditions; one that cannot be checked stays as it was."""
        self.alarms += check()
        self.checked |= set(conditions)


def _check_airflow(seen: _Seen, airflow: AirflowApi) -> None:
    try:
        seen.at("airflow_unhealthy", check=lambda: _unhealthy(airflow))
        seen.at("import_errors", check=lambda: _import_errors(airflow))
        seen.at("stuck_in_queue", check=lambda: _stuck(airflow))
    except AirflowUnreachable as error:
        seen.alarms.append(
            Alarm(
                condition="airflow_unreachable",
                title="Airflow",
                headline="Airflow does not answer",
                why=str(error),
                step="See whether the API server runs, and whether the token is still good.",
                over="Airflow answers again",
                runbook="airflow_unreachable",
            )
        )
    seen.checked.add("airflow_unreachable")


def _check_store(seen: _Seen, uri: str, airflow: AirflowApi) -> Store | None:
    """Check what Airflow's own watch wrote, and return the store; None when it cannot be read."""
    try:
        store = open_store(uri)
        seen.at("watch_silent", check=lambda: _silent(store, airflow))
        seen.at("notices_wait", check=lambda: _unsent(store))
    except RetrainingError as error:
        seen.alarms.append(_store_alarm(error))
        return None
    return store


def _store_alarm(error: RetrainingError) -> Alarm:
    return Alarm(
        condition=STORE,
        title="The store",
        headline="the store cannot be used",
        why=str(error),
        step="Restore it: consumers read the champion from it.",
        over="the store can be used again",
        runbook="store",
    )


def _unhealthy(airflow: AirflowApi) -> Iterator[Alarm]:
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


def _import_errors(airflow: AirflowApi) -> Iterator[Alarm]:
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


def _stuck(airflow: AirflowApi) -> Iterator[Alarm]:
    before = datetime.now(UTC) - STUCK
    stuck: list[Waiting] = [*airflow.queued_runs(before), *airflow.queued_tasks(before)]
    if stuck:
        first = min(stuck, key=lambda one: one.since)
        yield Alarm(
            condition="stuck_in_queue",
            title="Airflow",
            headline=f"{len(stuck)} run(s) or task(s) stay in the queue",
            why=f"{first.dag_id}: {first.what} is queued since "
            f"{first.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC, with nothing before it.",
            step="See whether the executor and its workers run.",
            over="nothing stays in the queue any more",
            runbook="stuck_in_queue",
        )


def _silent(store: Store, airflow: AirflowApi) -> Iterator[Alarm]:
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
        return f"Its last heartbeat is of {mark.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
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


def _unsent(store: Store) -> Iterator[Alarm]:
    before = datetime.now(UTC) - UNSENT
    old = [notice for notice in waiting(store) if notice.created_at < before]
    if old:
        first = min(old, key=lambda notice: notice.created_at)
        yield Alarm(
            condition="notices_wait",
            title="Alerts",
            headline=f"{len(old)} message(s) wait to be sent",
            why=f"The oldest, {first.key}, since {first.created_at:%Y-%m-%d %H:%M} UTC.",
            step="See why: `resend_notices` in `watch_models` logs what Slack answered.",
            over="no message waits any more",
            runbook="outbox",
        )


def _notify_directly(alarms: list[Alarm], notify: Callable[[Notice], None]) -> None:
    """Send all that is wrong in one message: what was sent before is unknown."""
    now = datetime.now(UTC)
    causes = [alarm.why for alarm in sorted(alarms, key=lambda alarm: alarm.condition != STORE)]
    notify(
        alert(
            event="store",
            kind=NoticeKind.BROKEN,
            key=f"airflow.store.{now:%Y%m%dT%H%M%S}",
            title="The store",
            model="",
            headline="the store cannot be used",
            why=" ".join(causes),
            step="Restore it: consumers read the champion from it. This repeats at every check.",
            owner=None,
            serving=None,
            links=alarms[0].links,
            runbook="store",
        )
    )
