"""Whether the promotion that a run decided on was taken back by a rollback."""

from __future__ import annotations

from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.object_store import Store


def undone_by(store: Store, record: DecisionRecord) -> PromotionEntry | None:
    """Return the rollback that took a run's promotion back.

    None for a run that promoted nothing, one whose version was followed by another promotion, and
    one whose version is the champion again.

    Raises:
        RegistryError: when the promotion log cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    promoted = record.serving
    if record.outcome is not Outcome.PROMOTED or promoted is None:
        return None
    log = PromotionLog(store, record.model)
    if promoted.generation >= log.head():
        return None
    after, champion = log.entry(promoted.generation + 1), log.champion()
    is_undone = after.kind is PromotionKind.ROLLBACK and after.version != promoted.version
    return after if is_undone and champion and champion.version != promoted.version else None
