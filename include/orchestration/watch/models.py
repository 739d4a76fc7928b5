"""What is wrong with a model although no run reports it: observe Airflow and the store, notify."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk import Context

from include.orchestration.callbacks.send import deliver_notice
from include.orchestration.parsing.executors import check_executors
from include.orchestration.parsing.invalid_config import dag_id_of
from include.orchestration.parsing.schedule import due_times, timetable
from include.orchestration.runtime.dag_runs import is_paused, newest_runs
from include.orchestration.runtime.run_reference import DAG_PREFIX, reference_to
from include.orchestration.runtime.urls import dag_url, repository_url
from include.retraining.config.deadline import TimeOfDay, parse_deadline
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.exceptions import ConfigError, RegistryError

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Links
    from include.retraining.store.object_store import Store
    from include.retraining.watch.conditions import ModelObservation, RunSummary


def check_model(store: Store, name: str, context: Context) -> list[str]:
    """Raise a model's alarms, close those that are over, and return the raised ones as text.

    Raises:
        RetrainingError: when the model cannot be checked.
    """
    from include.retraining.notifications.notice import Links
    from include.retraining.watch.alarms import update_alarms
    from include.retraining.watch.conditions import (
        CONDITIONS,
        CONFIGURATION,
        DAMAGED,
        damaged_log,
        damaged_record,
        problems,
        wrong_configuration,
    )

    now = datetime.now(UTC)
    links = Links(run=dag_url(dag_id_of(name)), repository=repository_url(context))
    checked: tuple[str, ...] = tuple(CONDITIONS)
    try:
        config = _usable(name)
        observation = observe(store, config, links, now)
        lost = _compare(store, observation)
        found = problems(observation)
        if lost is not None:
            found.append(damaged_record(config, lost, observation.serving, links))
    except ConfigError as error:
        serving = _serving(store, name)
        found = [wrong_configuration(name, str(error), links, serving=serving)]
        checked = (CONFIGURATION,)
    except RegistryError as error:
        found, checked = [damaged_log(config, str(error), links)], (DAMAGED,)
    update_alarms(
        store,
        f"models/{dag_id_of(name).removeprefix(DAG_PREFIX)}",
        found,
        lambda notice: deliver_notice(store, notice),
        checked=checked,
        now=now,
        links=links,
    )
    return [f"{alarm.condition}: {alarm.why}" for alarm in found]


def _usable(name: str) -> ModelConfig:
    """Return a model's configuration, if its DAG can be made from it.

    Raises:
        ConfigError: when it cannot: then its DAG only reports why.
    """
    config = load_model(name)
    check_executors(config)
    timetable(config)
    return config


def _serving(store: Store, name: str) -> str:
    from include.retraining.notifications.notice import serving_now
    from include.retraining.registry.promotion_log import PromotionLog

    try:
        log = PromotionLog(store, name)
        return serving_now(log, log.champion())
    except RegistryError:
        return "unknown"


def _compare(store: Store, observation: ModelObservation) -> str | None:
    """Compare what the last check saw of the log and the records with what is stored."""
    from include.retraining.store.layout import RunPaths
    from include.retraining.watch.newest_seen import check_and_record_newest

    newest = observation.newest
    key = None
    if newest is not None:
        key = RunPaths(newest.model, newest.run).decision(newest.clear)
    return check_and_record_newest(
        store,
        observation.config.name,
        champion=observation.champion,
        newest=key,
        now=observation.now,
    )


def observe(store: Store, config: ModelConfig, links: Links, now: datetime) -> ModelObservation:
    """Return one observation of a model."""
    from include.retraining.decisions.alarm_state import read_alarm_state
    from include.retraining.decisions.records import decisions
    from include.retraining.notifications.notice import serving_now
    from include.retraining.registry.promotion_log import PromotionLog
    from include.retraining.watch.conditions import DUES, ModelObservation

    log = PromotionLog(store, config.name)
    champion = log.champion()
    return ModelObservation(
        config=config,
        now=now,
        watched_since=read_alarm_state(store, f"models/{config.name}", now=now).since,
        is_paused=is_paused(config.dag_id),
        dues=due_times(config, now, DUES),
        due_for_deadline=_due_for_deadline(config, now),
        newest=next(decisions(store, config.name, limit=1), None),
        run=_newest_run(store, config.dag_id),
        champion=champion,
        serving=serving_now(log, champion),
        links=links,
    )


def _due_for_deadline(config: ModelConfig, now: datetime) -> datetime | None:
    """Return when the run was due whose deadline passed last."""
    deadline = None if config.deadline is None else parse_deadline(config.deadline)
    if not isinstance(deadline, TimeOfDay):
        return None
    return next(iter(due_times(config, deadline.latest(now), 1)), None)


def _newest_run(store: Store, dag_id: str) -> RunSummary | None:
    from include.retraining.watch.conditions import RunSummary
    from include.retraining.watch.late import waits_for_person

    found = next(newest_runs(dag_id, 1), None)
    if found is None:
        return None
    return RunSummary(
        run_id=found.run_id,
        run_after=found.run_after,
        state=str(getattr(found.state, "value", found.state)),
        waits_for_person=waits_for_person(store, reference_to(dag_id, found).paths),
    )
