"""What is wrong with a model although no run reports it: observe Airflow and the store, notify."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from airflow.sdk import Context

from include.orchestration.parsing.executors import check_executors
from include.orchestration.parsing.invalid_config import dag_id_of
from include.orchestration.parsing.schedule import due_times, timetable
from include.orchestration.runtime.dag_runs import is_paused, newest_runs
from include.orchestration.runtime.run_reference import DAG_PREFIX, reference_to
from include.orchestration.runtime.urls import dag_url, repository_url
from include.orchestration.watch.one_by_one import deliver_in_turn
from include.orchestration.watch.side_by_side import going_on, in_turn
from include.retraining.config.deadline import TimeOfDay, parse_deadline
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.exceptions import (
    ConfigError,
    EvidenceError,
    RegistryError,
    RetrainingError,
)

if TYPE_CHECKING:
    from include.retraining.decisions.record import DecisionRecord
    from include.retraining.monitoring.drift_state import DriftState
    from include.retraining.monitoring.windows import Judgement
    from include.retraining.notifications.notice import Links
    from include.retraining.registry.entry import PromotionEntry
    from include.retraining.runs.journal import OpenRun
    from include.retraining.store.object_store import Store
    from include.retraining.watch.alarms import Alarm
    from include.retraining.watch.conditions import ModelObservation, RunSummary
    from include.retraining.watch.progress import CheckedModel, ModelRuns


class Checked(NamedTuple):
    """What a check of a model found."""

    raised: list[str]
    """The alarms that are raised, as text."""
    seen: CheckedModel | None
    """What the next check compares with; None when not all could be checked."""


def check_models(store: Store, context: Context, models: Sequence[str]) -> list[str]:
    """Check all models, those first that the last pass did not get to; return what is wrong.

    A model of which nothing is new costs three requests: is there an entry behind the newest one,
    and are that entry and the newest record as they were. Any other, and each once a day, is
    checked in full.

    Raises:
        RetrainingError: at the end, with all that failed.
    """
    from include.retraining.runs.journal import open_runs
    from include.retraining.watch.progress import ModelsPass, read_runs

    # The markers first: one that is removed meanwhile is in what is known by then.
    marked: dict[str, list[OpenRun]] = {}
    for marker in open_runs(store):
        marked.setdefault(marker.model, []).append(marker)
    runs, this_pass = read_runs(store).models, ModelsPass(store)
    seen = {name: one for name, one in this_pass.known.items() if name in models}
    failed: set[str] = set()

    def check(name: str) -> Checked:
        newest = newest_record(store, marked.get(name, ()), runs.get(name))
        before = this_pass.known.get(name)
        if before is not None and _is_nothing_new(store, name, before, newest):
            return Checked([], before)
        this_pass.begin_full_check()
        failed.add(name)  # until it is done: it may have raised alarms that were not noted
        checked = check_model(store, name, context)
        failed.discard(name)
        return checked

    raised: list[str] = []
    problems: list[str] = []
    for name, checked in going_on(in_turn(store, "check_models", models, check), problems):
        raised += [f"{name}: {problem}" for problem in checked.raised]
        seen.pop(name, None)
        if checked.seen is not None:
            seen[name] = checked.seen
    this_pass.end({name: one for name, one in seen.items() if name not in failed})
    if problems:
        raise RetrainingError("; ".join(problems))
    return raised


def newest_record(store: Store, markers: Iterable[OpenRun], known: ModelRuns | None) -> str | None:
    """Return the key of the decision record of the run due last, as far as the watch knows it."""
    decided = (marker.paths.decision(marker.clear) for marker in markers)
    keys = {key for key in decided if store.exists(key)}
    if known is not None and known.newest is not None:
        keys.add(known.newest)
    return max(keys, default=None)


def check_model(store: Store, name: str, context: Context) -> Checked:
    """Check a model in full: raise its alarms, and close those that are over.

    Raises:
        RetrainingError: when the model cannot be checked.
    """
    from include.retraining.notifications.notice import Links
    from include.retraining.watch.alarms import update_alarms

    now = datetime.now(UTC)
    links = Links(run=dag_url(dag_id_of(name)), repository=repository_url(context))
    alarms, checked, seen = _examine(store, name, links, now)
    update_alarms(
        store,
        f"models/{dag_id_of(name).removeprefix(DAG_PREFIX)}",
        alarms,
        lambda notice: deliver_in_turn(store, notice),
        checked=checked,
        now=now,
        links=links,
    )
    return Checked([f"{alarm.condition}: {alarm.why}" for alarm in alarms], seen)


def _is_nothing_new(store: Store, name: str, before: CheckedModel, newest: str | None) -> bool:
    """Return whether a model is as its last full check found it, and nothing became wrong since."""
    from include.retraining.watch.conditions import DUES, ModelObservation, problems
    from include.retraining.watch.newest_seen import champion_if_same, is_as_seen
    from include.retraining.watch.progress import is_full_check_due

    now = datetime.now(UTC)
    if before.has_problems or is_full_check_due(name, before.checked_at, now):
        return False
    known = "" if before.record is None else before.record.key
    if newest is not None and newest > known:
        return False
    try:
        config = _usable(name)
    except ConfigError:
        return False
    is_same, champion = champion_if_same(store, name, before.head)
    if not is_same or not is_as_seen(store, before.record):
        return False
    return not problems(
        ModelObservation(
            config=config,
            now=now,
            # Whatever may be wrong is checked in full, by what it depends on besides.
            watched_since=datetime.min.replace(tzinfo=UTC),
            is_paused=is_paused(config.dag_id),
            dues=due_times(config, now, DUES),
            due_for_deadline=_due_for_deadline(config, now),
            decided=before.decided,
            run=None,
            champion=champion,
            serving="",
        )
    )


def _examine(
    store: Store, name: str, links: Links, now: datetime
) -> tuple[list[Alarm], tuple[str, ...], CheckedModel | None]:
    """Return what is wrong, which conditions could be checked, and what the next check needs."""
    from include.retraining.decisions.records import decisions
    from include.retraining.watch.conditions import (
        CONFIGURATION,
        DAMAGED,
        damaged_log,
        damaged_record,
        problems,
        wrong_configuration,
    )

    try:
        config = _usable(name)
        newest = next(decisions(store, config.name, limit=1), None)
        observation = observe(store, config, newest, links, now)
        lost = _compare(store, observation, newest)
    except ConfigError as error:
        serving = _serving(store, name)
        return (
            [wrong_configuration(name, str(error), links, serving=serving)],
            (CONFIGURATION,),
            None,
        )
    except RegistryError as error:
        return [damaged_log(config, str(error), links)], (DAMAGED,), None
    alarms = problems(observation)
    if lost is not None:
        alarms.append(damaged_record(config, lost, observation.serving, links))
    seen = _as_checked(store, observation, newest, has_problems=bool(alarms))
    return alarms, observation.checked, seen


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


def _record_key(model: str, newest: DecisionRecord) -> str:
    from include.retraining.store.layout import RunPaths

    return RunPaths(model, newest.run).decision(newest.clear)


def _compare(
    store: Store, observation: ModelObservation, newest: DecisionRecord | None
) -> str | None:
    """Compare what the last check saw of the log and the records with what is stored."""
    from include.retraining.watch.newest_seen import check_and_record_newest

    return check_and_record_newest(
        store,
        observation.config.name,
        champion=observation.champion,
        newest=None if newest is None else _record_key(observation.config.name, newest),
        now=observation.now,
    )


def _as_checked(
    store: Store,
    observation: ModelObservation,
    newest: DecisionRecord | None,
    *,
    has_problems: bool,
) -> CheckedModel:
    """Return what the next check compares with."""
    from include.retraining.decisions.chain import as_seen
    from include.retraining.store.layout import promotion_key
    from include.retraining.watch.progress import CheckedModel

    champion, model = observation.champion, observation.config.name
    head = None if champion is None else promotion_key(model, champion.generation)
    return CheckedModel(
        head=None if head is None else as_seen(store, head),
        record=None if newest is None else as_seen(store, _record_key(model, newest)),
        decided=observation.decided,
        has_problems=has_problems,
        checked_at=observation.now,
    )


def observe(
    store: Store,
    config: ModelConfig,
    newest: DecisionRecord | None,
    links: Links,
    now: datetime,
) -> ModelObservation:
    """Return one observation of a model.

    Args:
        store: the store.
        config: the model's.
        newest: the decision of the run that was due last.
        links: where to look.
        now: the time.
    """
    from include.retraining.decisions.alarm_state import read_alarm_state
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
        decided=None if newest is None else max(newest.run_after, newest.decided_at),
        run=_newest_run(store, config.dag_id),
        champion=champion,
        serving=serving_now(log, champion),
        links=links,
        decay=None if champion is None else _decay(store, champion),
        drifts=_drifts(store, config, champion),
    )


def _decay(store: Store, champion: PromotionEntry) -> Judgement:
    """Return what the champion's grades show; a grade that cannot be read is no answer."""
    from include.retraining.monitoring.decay import judge_decay
    from include.retraining.monitoring.windows import Judgement, State

    try:
        return judge_decay(store, champion)
    except EvidenceError as error:
        return Judgement(State.CANNOT_JUDGE, str(error), seen_at=champion.created_at)


def _drifts(
    store: Store, config: ModelConfig, champion: PromotionEntry | None
) -> dict[str, DriftState]:
    from include.retraining.monitoring.drift_state import drift_states

    return {} if champion is None else drift_states(store, config.name, champion.generation)


def _due_for_deadline(config: ModelConfig, now: datetime) -> datetime | None:
    """Return when the run was due whose deadline passed last."""
    deadline = None if config.deadline is None else parse_deadline(config.deadline)
    if not isinstance(deadline, TimeOfDay):
        return None
    return next(iter(due_times(config, deadline.latest(now), 1)), None)


def _newest_run(store: Store, dag_id: str) -> RunSummary | None:
    from include.retraining.watch.conditions import RunSummary
    from include.retraining.watch.late import waits_for_person

    dag_run = next(newest_runs(dag_id, 1), None)
    if dag_run is None:
        return None
    return RunSummary(
        run_id=dag_run.run_id,
        run_after=dag_run.run_after,
        state=str(getattr(dag_run.state, "value", dag_run.state)),
        waits_for_person=waits_for_person(store, reference_to(dag_id, dag_run).paths),
    )
