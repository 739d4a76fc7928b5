"""What is wrong with the targets of a model, as alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from include.retraining.config.model import ModelConfig
from include.retraining.formatting.times import utc_minute
from include.retraining.notifications.notice import Links, Notice, serving_now
from include.retraining.publishing.state import ModelState, TargetState, write_state
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.object_store import Store
from include.retraining.watch.alarms import Alarm, update_alarms

PATIENCE = timedelta(minutes=15)
"""How long a target may fail before someone is notified: a restart is over by then."""
UNPUBLISHED = "unpublished"
MOVED = "moved"
BRING_IT_BACK = (
    "Bring the target back, or mend its Airflow connection: it gets the newest champion within "
    "five minutes."
)
SET_IT_BACK = "Set it back, or make its version the champion with the DAG rollback_model."
FIND_OUT = "Find out who did it: the promotion log decides which version is the champion."
OVER = "no target is without the champion any more"


class Finding(NamedTuple):
    """Something that is wrong with a model's targets."""

    condition: str
    headline: str
    why: str
    """The first cause of each target."""
    step: str
    """The next step."""


def raise_alarms(
    store: Store,
    config: ModelConfig,
    state: ModelState,
    notify: Callable[[Notice], None],
    *,
    now: datetime,
    links: Links,
) -> ModelState:
    """Notify of what is wrong with a model's targets, and of what is over.

    Args:
        store: keeps what is raised.
        config: the model's.
        state: of its targets.
        notify: delivers a notice through the outbox.
        now: the time.
        links: where a message leads.

    Returns:
        The state, with whether alarms are raised, stored.
    """
    findings = list(_findings(state, now))
    if not findings and not state.has_alarms:
        return state
    if findings and not state.has_alarms:
        state = state.model_copy(update={"has_alarms": True})
        write_state(store, state)  # first: they must be closed even if this process is killed
    alarms = _alarms(store, config, findings, links) if findings else []
    _update(store, state, alarms, notify, now=now, links=links)
    return state if findings else _without_alarms(store, state)


def end_alarms(
    store: Store,
    state: ModelState,
    notify: Callable[[Notice], None],
    *,
    now: datetime,
    links: Links,
) -> ModelState:
    """Notify that the alarms of a model are over which is published nowhere any more.

    Args:
        store: keeps what is raised.
        state: what was known of its targets.
        notify: delivers a notice through the outbox.
        now: the time.
        links: where a message leads.

    Returns:
        The state without alarms, stored.
    """
    if not state.has_alarms:
        return state
    _update(store, state, [], notify, now=now, links=links)
    return _without_alarms(store, state)


def _alarms(
    store: Store, config: ModelConfig, findings: list[Finding], links: Links
) -> list[Alarm]:
    log = PromotionLog(store, config.name)
    serving = serving_now(log, log.champion())
    return [
        Alarm(
            condition=one.condition,
            title=config.title,
            headline=one.headline,
            why=one.why,
            step=one.step,
            over=OVER,
            runbook="publishing",
            model=config.name,
            owner=config.owner,
            serving=serving,
            links=links,
        )
        for one in findings
    ]


def _update(
    store: Store,
    state: ModelState,
    alarms: list[Alarm],
    notify: Callable[[Notice], None],
    *,
    now: datetime,
    links: Links,
) -> None:
    place, checked = f"publishing/{state.model}", (UNPUBLISHED, MOVED)
    update_alarms(store, place, alarms, notify, checked=checked, now=now, links=links)


def _without_alarms(store: Store, state: ModelState) -> ModelState:
    state = state.model_copy(update={"has_alarms": False})
    write_state(store, state)
    return state


def _findings(state: ModelState, now: datetime) -> Iterator[Finding]:
    failing = {
        name: one
        for name, one in state.targets.items()
        if one.failing_since is not None and one.failing_since <= now - PATIENCE
    }
    moved = {name: one for name, one in state.targets.items() if one.differs is not None}
    if failing:
        headline = f"the champion is not published to {' and '.join(failing)}"
        why = "; ".join(f"{name}: {_failure(one)}" for name, one in failing.items())
        yield Finding(UNPUBLISHED, headline, why, BRING_IT_BACK)
    if moved:
        why = "; ".join(f"{name}: {one.differs}" for name, one in moved.items())
        headline = f"someone else changed {' and '.join(moved)}"
        if all(one.is_set_back for one in moved.values()):
            yield Finding(MOVED, f"{headline}; set back", why, FIND_OUT)
        else:
            yield Finding(MOVED, headline, why, SET_IT_BACK)


def _failure(target: TargetState) -> str:
    has = f"has generation {target.generation}" if target.generation else "has nothing yet"
    since = "" if target.failing_since is None else f" since {utc_minute(target.failing_since)}"
    return f"{target.problem} ({has}; failing{since})"
