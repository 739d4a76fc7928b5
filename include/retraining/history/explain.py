"""Why a model was or was not updated, and its champion: a sentence, or two when it is on hold."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import islice

from include.retraining.decisions.phrases import decision_sentence
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.record_files import newest_decision_keys, read_record
from include.retraining.decisions.records import corrected_by_log, decisions
from include.retraining.exceptions import NotFound
from include.retraining.formatting.times import utc_minute
from include.retraining.notifications.silences import open_silences
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.object_store import Store

_READERS = 16
"""How many records are read at once."""


def why(store: Store, model: str, day: date | None = None) -> str:
    """Return a sentence about the newest decision on a model, or about that of a day.

    A rollback that holds automatic promotion comes first: it is the reason for any decision. A
    silence comes last: it is the reason why no message came.

    Args:
        store: the store.
        model: the model's name.
        day: the date of the data or the day (UTC) the run was due; None for the newest decision.

    Raises:
        NotFound: when there is no decision for that day.
        RegistryError: when the promotion log cannot be read.
    """
    if day is None:
        record = next(decisions(store, model, limit=1), None)
    else:
        record = _newest_of(store, model, day)
    if record is None and day is not None:
        raise NotFound(f"{model}: no run for {day.isoformat()} has ended; see `decisions {model}`")
    log = PromotionLog(store, model)
    hold = log.hold()
    first = "" if hold is None else _held(hold)
    last = _silenced(store, model)
    if record is None:
        return f"{first}No run of {model} has ended yet; {_serving(log)}.{last}"
    is_said = (
        hold is not None and record.outcome is Outcome.HELD and record.decided_at >= hold.created_at
    )
    decided = decision_sentence(record, with_reason=not is_said)
    return f"{first}{decided}; {_serving(log)}.{last}"


def _newest_of(store: Store, model: str, day: date) -> DecisionRecord | None:
    """Return the newest decision on the data of a day or of a run that was due then.

    A run is due on the day of its data or later, and reads no data of a later day than its own; a
    day more, because that day's end depends on the place.
    """
    since = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=1)
    keys = newest_decision_keys(store, model, since=since)
    while batch := list(islice(keys, _READERS)):
        with ThreadPoolExecutor(max_workers=_READERS) as pool:
            for record in pool.map(lambda key: read_record(store, key), batch):
                if record is not None and _is_of(record, day):
                    return corrected_by_log(store, record)
    return None


def _is_of(record: DecisionRecord, day: date) -> bool:
    dates = {record.run_after.astimezone(UTC).date()}
    if record.params is not None:
        dates.add(record.params.date)
    return day in dates


def _silenced(store: Store, model: str) -> str:
    """Return a sentence for each silence of the model's messages that lasts."""
    silences = [one for one in open_silences(store) if one.model == model]
    return "".join(f" {one.words[0].upper()}{one.words[1:]}." for one in silences)


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
