"""The looks at a holdout: which challengers were scored on which rows, against which generation.

A look is written before the scores are known to anybody, so that none is forgotten. The same
version on the same rows against the same generation is the same look, for any run: a retry, a
cleared run and a judgement by other rules learn nothing new.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from include.retraining.data.key_sketch import KeySketch, overlap
from include.retraining.documents import Document
from include.retraining.gate.report import Try
from include.retraining.store.layout import look_key, looks_folder
from include.retraining.store.object_store import Store

SHARED = 0.05
"""From which share of its rows on a holdout is one that was looked at before."""


class Look(Document):
    """One challenger that was scored on one holdout."""

    format: int = 1
    version: str
    holdout_digest: str
    generation: int
    """What served: 0 when nothing did."""
    keys: KeySketch
    """Of the holdout."""
    run_id: str
    """The run that looked first."""
    created_at: datetime


def take_look(
    store: Store,
    model: str,
    *,
    version: str,
    holdout_digest: str,
    keys: KeySketch,
    generation: int,
    run_id: str,
) -> Try:
    """Count a look at a holdout, or find the one that was counted, and return which try it is.

    Looks are counted since the champion became one: it is another comparison with each champion.

    Args:
        store: where the log lies.
        model: the model's name.
        version: the challenger.
        holdout_digest: of the rows.
        keys: of the rows; a look at other rows does not count.
        generation: of the champion; 0 when there is none.
        run_id: the run.

    Raises:
        EvidenceError: when a look of this generation cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    mine = Look(
        version=version,
        holdout_digest=holdout_digest,
        generation=generation,
        keys=keys,
        run_id=run_id,
        created_at=datetime.now(UTC),
    )
    while True:
        numbers = _numbers(store, model)
        before = 0
        for look in reversed(list(_since(store, model, numbers, generation))):
            if (look.version, look.holdout_digest) == (version, holdout_digest):
                return Try(number=before + 1, generation=generation)
            before += _is_of_the_same_rows(mine, look)
        key = look_key(model, (numbers[-1] if numbers else 0) + 1)
        if store.create(key, mine.to_bytes()):
            return Try(number=before + 1, generation=generation)


def _numbers(store: Store, model: str) -> list[int]:
    matches = (
        re.search(r"/(\d{8})\.json$", item.key) for item in store.objects(looks_folder(model))
    )
    return [int(match[1]) for match in matches if match]


def _since(store: Store, model: str, numbers: list[int], generation: int) -> Iterator[Look]:
    """Yield the looks against a generation, newest first."""
    for number in reversed(numbers):
        key = look_key(model, number)
        look = Look.from_bytes(store.read(key), where=key)
        if look.generation < generation:
            return
        if look.generation == generation:
            yield look


def _is_of_the_same_rows(look: Look, earlier: Look) -> bool:
    if look.holdout_digest == earlier.holdout_digest:
        return True
    share = overlap(look.keys, earlier.keys).share
    return share is None or share >= SHARED
