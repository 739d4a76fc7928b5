"""One sentence: why a model was or was not updated, and what serves."""

from __future__ import annotations

from datetime import UTC, date

from include.retraining.decision_record import DecisionRecord, Outcome
from include.retraining.exceptions import NotFound
from include.retraining.promotions import PromotionEntry
from include.retraining.records import decisions
from include.retraining.registry import Registry
from include.retraining.storage import Store

_ENDINGS = {
    Outcome.PROMOTED: "was updated",
    Outcome.REJECTED: "was not updated, the new version was refused",
    Outcome.CANNOT_JUDGE: "was not updated, the new version could not be judged",
    Outcome.NO_CHANGE: "was not updated, nothing had changed",
    Outcome.DATA_REJECTED: "was not updated, the data was refused",
    Outcome.NO_DATA: "was not updated, no complete delivery came in time",
    Outcome.DRY_RUN: "was not updated, it was a dry run",
    Outcome.SUPERSEDED: "was not updated, another change was faster",
    Outcome.HELD: "was not updated, automatic promotion is on hold",
    Outcome.APPROVAL_REJECTED: "was not updated, a person did not approve the new version",
    Outcome.APPROVAL_EXPIRED: "was not updated, nobody approved the new version in time",
    Outcome.FAILED: "was not updated, the run broke",
    Outcome.CANCELLED: "was not updated, the run was ended by hand",
}


def why(store: Store, model: str, day: date | None = None) -> str:
    """Return one sentence about the newest decision on a model, or about that of a day.

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
    champion = Registry(store, model).champion()
    if record is None:
        return f"No run of {model} has ended yet; {_serving(champion)}."
    when = f"{record.run_after.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    ending, reason = _ENDINGS[record.outcome], record.reason.rstrip(". ")
    return f"{model} {ending} by the run of {when}: {reason}; {_serving(champion)}."


def _is_of(record: DecisionRecord, day: date | None) -> bool:
    if day is None:
        return True
    dates = {record.run_after.astimezone(UTC).date()}
    if record.params is not None:
        dates.add(record.params.date)
    return day in dates


def _serving(champion: PromotionEntry | None) -> str:
    if champion is None:
        return "nothing serves yet"
    since = f"{champion.created_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return f"version {champion.version} (generation {champion.generation}) serves since {since}"
