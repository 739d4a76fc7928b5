"""Where a model's decision records lie, and reading one, without asking the promotion log.

A record's name begins with the time that its run was due, so a listing may begin at a time. The
newest are looked for in the last month first, then in ever longer spans before it: what that costs
depends on how many are wanted, and not on how many there are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from include.retraining.decisions.record import DecisionRecord
from include.retraining.store import layout
from include.retraining.store.object_store import ObjectInfo, Store

_RECORD_NAME = re.compile(r"(.+\.[0-9]{3,})(\.corrected)?\.json")
FIRST_SPAN = timedelta(days=32)
GROWTH = 8
"""How many times longer each span is than the one behind it."""
SPANS = 3
"""How many spans are listed before the rest is, which began more than five years ago."""


def decision_keys(store: Store, model: str, *, written_since: datetime | None = None) -> list[str]:
    """Return the keys of all of a model's decision records, that of the run due last first.

    Args:
        store: with the records.
        model: whose.
        written_since: leave out records that were written, and corrected, before this.
    """
    listed = store.children(layout.decisions_folder(model))[1]
    if written_since is not None:
        listed = [info for info in listed if info.last_modified >= written_since]
    return list(keys_in(listed))


def newest_decision_keys(
    store: Store, model: str, *, before: str | None = None, since: datetime | None = None
) -> Iterator[str]:
    """Yield the keys of a model's decision records, that of the run due last first, as needed.

    Args:
        store: with the records.
        model: whose.
        before: only those that come after this key in that order.
        since: only those of runs that were due since then.
    """
    folder = layout.decisions_folder(model)
    first = None if since is None else _key_at(folder, since)
    for after, end in _spans(folder, before):
        start = after if first is None or (after is not None and after > first) else first
        listed = store.between(folder, after=after, before=end)
        keys = keys_in(info for info in listed if start is None or info.key > start)
        yield from (key for key in keys if before is None or key < before)
        if start != after:
            return


def newest_listing(store: Store, model: str) -> list[ObjectInfo]:
    """Return what a listing says of a model's records in the newest span that has any."""
    folder = layout.decisions_folder(model)
    listings = (store.between(folder, after=after, before=end) for after, end in _spans(folder))
    return next((listed for listed in listings if listed), [])


def keys_of_run(store: Store, model: str, run: str) -> list[str]:
    """Return the keys of the decision records of one run, that of its last clear first.

    Args:
        store: with the records.
        model: whose.
        run: the run's own name.
    """
    folder = layout.decisions_folder(model)
    # "/" follows "." in the order of keys.
    return list(keys_in(store.between(folder, after=f"{folder}/{run}.", before=f"{folder}/{run}/")))


def keys_in(listed: Iterable[ObjectInfo]) -> Iterator[str]:
    """Yield the keys of the records in a listing, that of the run due last first.

    A correction counts for its record.
    """
    named = (info.key.rpartition("/") for info in listed)
    matches = ((folder, _RECORD_NAME.fullmatch(name)) for folder, _, name in named)
    runs = {(folder, match[1]) for folder, match in matches if match is not None}
    yield from (f"{folder}/{run}.json" for folder, run in sorted(runs, reverse=True))


def _spans(folder: str, before: str | None = None) -> Iterator[tuple[str | None, str | None]]:
    """Yield between which keys to list, the newest first; by days, so that a cache knows them."""
    end = None
    last = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    span = FIRST_SPAN
    for _ in range(SPANS):
        start = _key_at(folder, last - span)
        if before is None or start < before:
            yield start, end
        end, span = start, span * GROWTH
    yield None, end


def _key_at(folder: str, time: datetime) -> str:
    return f"{folder}/{time.astimezone(UTC):%Y%m%dT%H%M%S}"


def read_record(store: Store, key: str) -> DecisionRecord | None:
    """Return the record under a key or the correction beside it, without asking the log.

    Raises:
        EvidenceError: when it cannot be read.
    """
    data = store.read_if_present(key)
    if data is None:
        return None
    corrected = store.read_if_present(correction_key(key))
    return DecisionRecord.from_bytes(data if corrected is None else corrected, where=key)


def correction_key(key: str) -> str:
    """Return where the correction of a record lies."""
    return f"{key.removesuffix('.json')}.corrected.json"
