"""What is wrong with the targets of a model, as alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

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
    log = PromotionLog(store, config.name)
    serving = serving_now(log, log.champion())
    alarms = [
        Alarm(
            condition=condition,
            title=config.title,
            headline=headline,
            why=why,
            step=step,
            over="every target has the champion again",
            runbook="publishing",
            model=config.name,
            owner=config.owner,
            serving=serving,
            links=links,
        )
        for condition, headline, why, step in findings
    ]
    update_alarms(
        store,
        f"publishing/{config.name}",
        alarms,
        notify,
        checked=(UNPUBLISHED, MOVED),
        now=now,
        links=links,
    )
    if not findings:
        state = state.model_copy(update={"has_alarms": False})
        write_state(store, state)
    return state


def _findings(state: ModelState, now: datetime) -> Iterator[tuple[str, str, str, str]]:
    """Yield condition, headline, first cause and next step."""
    failing = {
        name: one
        for name, one in state.targets.items()
        if one.failing_since is not None and one.failing_since <= now - PATIENCE
    }
    moved = {name: one for name, one in state.targets.items() if one.differs is not None}
    if failing:
        headline = f"the champion is not published to {' and '.join(failing)}"
        why = "; ".join(f"{name}: {_failure(one)}" for name, one in failing.items())
        yield UNPUBLISHED, headline, why, BRING_IT_BACK
    if moved:
        why = "; ".join(f"{name}: {one.differs}" for name, one in moved.items())
        if all(one.is_set_back for one in moved.values()):
            yield MOVED, f"someone else changed {' and '.join(moved)}; set back", why, FIND_OUT
        else:
            yield MOVED, f"someone else changed {' and '.join(moved)}", why, SET_IT_BACK


def _failure(target: TargetState) -> str:
    has = f"has generation {target.generation}" if target.generation else "has nothing yet"
    since = "" if target.failing_since is None else f" since {utc_minute(target.failing_since)}"
    return f"{target.problem} ({has}; failing{since})"
