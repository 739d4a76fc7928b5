"""Why a model was or was not updated, and its champion: a sentence, or two when it is on hold."""

from __future__ import annotations

from datetime import UTC, date

from include.retraining.decisions.phrases import decision_sentence
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.records import decisions
from include.retraining.exceptions import NotFound
from include.retraining.formatting.times import utc_minute
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.object_store import Store


def why(store: Store, model: str, day: date | None = None) -> str:
    """Return a sentence about the newest decision on a model, or about that of a day.

    A rollback that holds automatic promotion comes first: it is the reason for any decision.

    Args:
        store: the store.
        model: the model's name.
        day: the date of the data or the day (UTC) the run was due; None for the newest decision.

    Raises:
        NotFound: when there is no decision for that day.
        RegistryError: when the promotion log cannot be read.
    """
    record = next((item for item in decisions(store, model) if _is_of(item, day)), None)
    if record is None and day is not None:
        raise NotFound(f"{model}: no run for {day.isoformat()} has ended; see `decisions {model}`")
    log = PromotionLog(store, model)
    hold = log.hold()
    first = "" if hold is None else _held(hold)
    if record is None:
        return f"{first}No run of {model} has ended yet; {_serving(log)}."
    is_said = (
        hold is not None and record.outcome is Outcome.HELD and record.decided_at >= hold.created_at
    )
    return f"{first}{decision_sentence(record, with_reason=not is_said)}; {_serving(log)}."


def _is_of(record: DecisionRecord, day: date | None) -> bool:
    if day is None:
        return True
    dates = {record.run_after.astimezone(UTC).date()}
    if record.params is not None:
        dates.add(record.params.date)
    return day in dates


def _held(hold: PromotionEntry) -> str:
    reason = hold.reason.rstrip(". ")
    return (
        f"{hold.model} is on hold: {hold.actor} rolled it back to version {hold.version} at "
        f"{utc_minute(hold.created_at)} ({reason}), and no run promotes until that is released "
        f"with `release_model` in Airflow or `release {hold.model} --reason …`. "
    )


def _serving(log: PromotionLog) -> str:
    champion = log.champion()
    if champion is None:
        return "nothing serves yet"
    promotion = log.promotion_of(champion)
    how = ""
    if promotion.kind is not PromotionKind.PROMOTION:
        kind = "a rollback" if promotion.kind is PromotionKind.ROLLBACK else "an unjudged promotion"
        how = f", by {kind} of {promotion.actor}"
    return (
        f"version {champion.version} (generation {champion.generation}) serves since "
        f"{utc_minute(promotion.created_at)}{how}"
    )
