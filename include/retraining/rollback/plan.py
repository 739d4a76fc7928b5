"""What a rollback would change, before it is made."""

from __future__ import annotations

from datetime import datetime

from include.retraining.documents import Document
from include.retraining.exceptions import NotFound, RegistryError, Superseded
from include.retraining.formatting.times import utc_minute
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion_log import PromotionLog, serving_of
from include.retraining.runs.manifest import Serving
from include.retraining.store.object_store import Store


class RollbackPlan(Document):
    """What a rollback would change."""

    model: str
    serving: Serving
    """The champion."""
    serving_since: datetime
    target: Serving
    """The version that shall serve again, and the generation as which it served last."""
    target_data_date: str
    """ISO date of the data that it was trained on."""

    @property
    def summary(self) -> str:
        """Say it in a sentence."""
        return (
            f"{self.model}: version {self.target.version} (it served as generation "
            f"{self.target.generation}, trained on data of {self.target_data_date}) instead of "
            f"version {self.serving.version} (generation {self.serving.generation})"
        )


def plan_rollback(
    store: Store,
    model: str,
    version: str | None = None,
    *,
    request: str | None = None,
    seen: int | None = None,
    asked_at: datetime | None = None,
    since: datetime | None = None,
) -> RollbackPlan:
    """Return what a rollback would change; nothing is changed.

    Args:
        store: with the promotion log.
        model: whose champion is rolled back.
        version: to go back to; None for the champion before, skipping those that were rolled back.
        request: the user's request (`PromotionEntry.request`): when it has made its entry already,
            the plan is the one that led there.
        seen: the generation that the user saw; no other is rolled back.
        asked_at: when the user asked, where they did not say what they saw: a later entry is not
            rolled back. Two machines' clocks are compared, so this may refuse too much.
        since: from when on an entry made by the request may be there.

    Raises:
        NotFound: when the version never served, or there is none before.
        RegistryError: when nothing serves, or the version serves already.
        Superseded: when the champion changed after the user asked.
        StorageError: when the store refuses or does not answer.
    """
    log = PromotionLog(store, model)
    if request is not None and since is not None:
        entry = log.entry_for_request(request, since)
        if entry is not None:
            return plan_behind(log, entry)
    champion = log.champion()
    if champion is None:
        raise RegistryError(f"{model}: nothing serves yet, so there is nothing to roll back")
    serves = (
        f"{model}: version {champion.version} serves as generation {champion.generation} "
        f"({champion.kind.value} by {champion.actor}, {utc_minute(champion.created_at)})"
    )
    if seen is not None and champion.generation != seen:
        raise Superseded(f"{serves}, and you saw generation {seen}: look again before trying again")
    if seen is None and asked_at is not None and champion.created_at > asked_at:
        raise Superseded(
            f"{serves}: by the promoter's clock it came after you asked. If it is what you saw, "
            f"ask again with generation {champion.generation}"
        )
    if version == champion.version:
        raise RegistryError(f"{model}: version {version} serves already")
    target = log.served(version) if version is not None else champion_before(log)
    return _plan(log, champion, target)


def plan_behind(log: PromotionLog, entry: PromotionEntry) -> RollbackPlan:
    """Return the plan that led to a rollback's entry."""
    return _plan(log, log.entry(entry.generation - 1), entry)


def champion_before(log: PromotionLog) -> PromotionEntry:
    """Return the entry of the newest version before the champion that no person rolled back.

    Raises:
        NotFound: when there is none.
    """
    passed: set[str] = set()
    for entry in log.newest_first():
        if passed and entry.version not in passed:
            return entry
        passed.add(entry.version)
        if entry.kind is PromotionKind.ROLLBACK:
            passed.add(log.entry(entry.generation - 1).version)
    raise NotFound(
        f"{log.model}: no version served before this one that was not rolled back; name one of "
        f"`history {log.model}`"
    )


def _plan(log: PromotionLog, before: PromotionEntry, target: PromotionEntry) -> RollbackPlan:
    return RollbackPlan(
        model=before.model,
        serving=serving_of(before),
        serving_since=log.promotion_of(before).created_at,
        target=serving_of(target),
        target_data_date=target.data_date,
    )
