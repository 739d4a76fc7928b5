"""The external watchdog: one check from outside, because a dead scheduler cannot report itself.

For cron or a small container. It notifies once of what is wrong, through the same outbox as
everything else, and prints it at each check; it is silent only when all is well. One process at a
time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from include.retraining.config.repository import REPOSITORY_VARIABLE
from include.retraining.exceptions import (
    AirflowUnreachable,
    ConfigError,
    NotSent,
    RetrainingError,
    StorageError,
)
from include.retraining.notifications.notice import Links, Notice, NoticeKind, alert
from include.retraining.notifications.outbox import deliver, last_problem
from include.retraining.notifications.slack import quiet_logger, send
from include.retraining.notifications.time_limit import TIMEOUT_SECONDS
from include.retraining.store.marker import open_store
from include.retraining.store.object_store import URI_VARIABLE, Store
from include.retraining.store.redaction import redact
from include.retraining.watch.airflow_api import AirflowApi
from include.retraining.watch.alarms import Alarm, update_alarms
from include.retraining.watch.external_checks import (
    STORE,
    import_errors,
    silent,
    store_alarm,
    stuck,
    unhealthy,
    unsent,
)
from include.retraining.watch.local_state import (
    PLACE,
    flush_local_alarms,
    own_folder,
    update_alarms_locally,
)

URL_VARIABLE = "AIRFLOW_API_URL"
TOKEN_VARIABLE = "AIRFLOW_API_TOKEN"  # noqa: S105 the variable's name
SLACK_VARIABLE = "SLACK_WEBHOOK_URL"

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
            seen.alarms.append(store_alarm(error))
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
                    self._reportunsent(place, notice)
            except Exception as error:  # noqa: BLE001 any failure of Slack is printed
                self.lines.append(f"slack: not notified of {notice.event}: {error}")

        return notify

    def _reportunsent(self, place: Store, notice: Notice) -> None:
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
        seen.at("airflow_unhealthy", check=lambda: unhealthy(airflow))
        seen.at("import_errors", check=lambda: import_errors(airflow))
        seen.at("stuck_in_queue", check=lambda: stuck(airflow))
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
        seen.at("watch_silent", check=lambda: silent(store, airflow))
        seen.at("notices_wait", check=lambda: unsent(store))
    except RetrainingError as error:
        seen.alarms.append(store_alarm(error))
        return None
    return store


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
