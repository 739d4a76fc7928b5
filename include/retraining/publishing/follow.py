"""Following one model's promotion log: each target gets its newest entry, and is compared with it.

The log is what was written first: an entry is noticed whoever made it, a run, a rollback or a
release. What was noticed is stored before anything is sent, and what a target took is stored
afterwards, so that a process that is killed in between sends once more and never forgets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import RetrainingError
from include.retraining.formatting.text import truncate
from include.retraining.publishing.publication import Champion, read_champion
from include.retraining.publishing.state import ModelState, TargetState, find_state, write_state
from include.retraining.publishing.target import Target
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.layout import promotion_key
from include.retraining.store.object_store import Store
from include.retraining.store.redaction import redact

MAX_ROUNDS = 5
"""How many newer entries are followed at once; the next pass goes on."""
PROBLEM_LENGTH = 300


def follow_log(
    store: Store,
    config: ModelConfig,
    targets: Mapping[str, Target],
    known: ModelState | None,
    *,
    now: datetime,
) -> ModelState:
    """Bring every target to the newest entry of a model's promotion log, and compare the others.

    A model of which nothing is new costs one request to the store, and each of its targets one
    question.

    Args:
        store: with the model.
        config: the model's.
        targets: those of its `publish`, by `mlflow`, `pointer` and `webhook`.
        known: what the last pass found; None where it did not find the model.
        now: the time.

    Returns:
        What is known of the targets now, stored where it changed.

    Raises:
        RegistryError: when the promotion log cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    if known is None or not known.is_settled:
        known = find_state(store, config.name) or ModelState(model=config.name)
    state = known.with_places({} if config.publish is None else config.publish.places(config.name))
    if state != known:
        write_state(store, state)
    state = _notice_newest(store, state, now)
    for _ in range(MAX_ROUNDS):
        noticed = state.generation
        if noticed == 0:
            break
        is_behind = any(one.generation < noticed for one in state.targets.values())
        state = _bring_all(store, config.title, targets, state, now)
        if is_behind:  # whoever sent an old entry late goes on to the newest
            state = _notice_newest(store, state, now)
        if state.generation == noticed:
            break
    return state


def _notice_newest(store: Store, state: ModelState, now: datetime) -> ModelState:
    """Return the state with the newest entry of the log, stored before anything is sent."""
    if not store.exists(promotion_key(state.model, state.generation + 1)):
        return state
    newest = PromotionLog(store, state.model).champion()
    if newest is None or newest.generation <= state.generation:
        return state
    noticed = state.model_copy(
        update={"generation": newest.generation, "version": newest.version, "noticed_at": now}
    )
    write_state(store, noticed)
    return noticed


def _bring_all(
    store: Store, title: str, targets: Mapping[str, Target], state: ModelState, now: datetime
) -> ModelState:
    """Bring each target to the newest entry, or compare it; what became of it is stored at once."""

    @cache  # read for the first target that needs it
    def champion() -> Champion:
        return read_champion(store, title, PromotionLog(store, state.model).entry(state.generation))

    for name, target in targets.items():
        before = state.targets[name]
        try:
            after = _bring(target, before, state.generation, champion, now)
        except RetrainingError as problem:  # the other targets, and the next pass, must go on
            after = _failed(before, before, problem, now)
        if after != before:
            state = state.model_copy(update={"targets": {**state.targets, name: after}})
            write_state(store, state)
    return state


def _bring(
    target: Target,
    before: TargetState,
    generation: int,
    champion: Callable[[], Champion],
    now: datetime,
) -> TargetState:
    """Return a target's state after it was brought to an entry, or compared with it."""
    if before.generation < generation:
        return _advanced(target, before, champion(), now)
    differs = target.difference(before)
    if differs is None and not before.is_complete:
        return _published(target, before, champion(), now)
    if differs is None:
        return before.model_copy(update=_WELL)
    since = before.differs_since or now
    changes: dict[str, Any] = {**_WELL, "differs": differs, "differs_since": since}
    if not target.sets_back:
        return before.model_copy(update=changes)
    try:
        after = _published(target, before, champion(), now)
    except RetrainingError as problem:
        return _failed(before.model_copy(update=changes), before, problem, now)
    return after.model_copy(update={**changes, "is_set_back": True})


def _advanced(
    target: Target, before: TargetState, champion: Champion, now: datetime
) -> TargetState:
    """Return a target's state after it was brought to a newer entry.

    What someone changed just before is replaced by that, and still someone's to know of.
    """
    is_known = before.generation == 0 or before.differs is not None
    differs = None if is_known else target.difference(before)
    after = _published(target, before, champion, now)
    if differs is None:
        return after
    changes = {"differs": differs, "differs_since": now, "is_set_back": True}
    return after.model_copy(update=changes)


def _failed(
    state: TargetState, before: TargetState, problem: RetrainingError, now: datetime
) -> TargetState:
    changes = {
        "problem": truncate(redact(str(problem)), PROBLEM_LENGTH),
        "failing_since": before.failing_since or now,
    }
    return state.model_copy(update=changes)


_WELL: dict[str, Any] = {
    "problem": None,
    "failing_since": None,
    "differs": None,
    "differs_since": None,
    "is_set_back": False,
}


def _published(
    target: Target, before: TargetState, champion: Champion, now: datetime
) -> TargetState:
    receipt = target.publish(champion, is_ours=before.generation > 0)
    is_same = before.generation == champion.entry.generation
    return TargetState(
        place=before.place,
        generation=champion.entry.generation,
        version=champion.entry.version,
        since=before.since if is_same else now,
        receipt=receipt.text,
        is_complete=receipt.is_complete,
    )
