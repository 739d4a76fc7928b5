"""The keys to forget: requests that are numbered, never edited, and applied by each later training.

A request holds hashes of keys, as the split hashes them under a salt of its own, and no key. A run
pins all requests that are there when it is planned. What it trains and what it scores on is without
the rows of their keys, whatever the delivery holds.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, StringConstraints

from include.retraining.documents import Document, canonical_json, sha256_of
from include.retraining.exceptions import DataRejected, EvidenceError
from include.retraining.fingerprint.pinned import ForgetList
from include.retraining.runs.manifest import RunManifest
from include.retraining.store.layout import forget_folder, forget_key
from include.retraining.store.object_store import Store

# As in key_sketch.py: a plan pins the list without an import of numpy.
if TYPE_CHECKING:
    import pandas as pd

    from include.retraining.data.arrays import Positions, RowMask

SALT = "keys to forget"
_NUMBERED = re.compile(r"([0-9]{8})\.json")

KeyHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]


class ForgetRequest(Document):
    """Keys that someone asked to be forgotten. Put if absent."""

    format: int = 1
    model: str
    number: int
    """From 1, without a gap."""
    keys: Annotated[tuple[KeyHash, ...], Field(min_length=1)]
    """64-bit hashes of the keys in hex, ascending."""
    actor: str
    reason: str
    created_at: datetime


def key_hashes_in_hex(keys: pd.Series[Any]) -> tuple[str, ...]:
    """Return the different hashes of some keys, ascending, as a request holds them."""
    from include.retraining.data.key_sketch import distinct
    from include.retraining.data.split import key_hashes

    return tuple(f"{one:016x}" for one in distinct(key_hashes(keys, SALT)).tolist())


def pin_forget_list(store: Store, model: str) -> ForgetList | None:
    """Return what a run that is planned now pins; None where there is no request.

    Raises:
        EvidenceError: when a request is missing or cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    newest = newest_request(store, model)
    return None if newest == 0 else _list_of(newest, _read(store, model, newest))


def newest_request(store: Store, model: str) -> int:
    """Return the number of the newest request, 0 where there is none."""
    names = (info.key.rpartition("/")[2] for info in store.children(forget_folder(model))[1])
    return max((int(match[1]) for name in names if (match := _NUMBERED.fullmatch(name))), default=0)


def forgotten_places(store: Store, run: RunManifest, keys: pd.Series[Any]) -> Positions:
    """Return which rows of a delivery are to be left out, as positions, ascending.

    Args:
        store: with the requests.
        run: what it pinned.
        keys: of all rows of the delivery.

    Raises:
        EvidenceError: when the requests are no longer those that were pinned.
        StorageError: when the store refuses or does not answer.
    """
    import numpy as np

    from include.retraining.data.split import key_hashes

    if run.forget is None:
        return np.empty(0, dtype=np.intp)
    hashes = _read(store, run.model, run.forget.requests)
    if _list_of(run.forget.requests, hashes) != run.forget:
        raise EvidenceError(
            f"{forget_folder(run.model)}: the keys to forget were altered since the run was planned"
        )
    wanted = np.array([int(one, 16) for one in hashes], dtype=np.uint64)
    return np.flatnonzero(np.isin(key_hashes(keys, SALT), wanted))


def divide_remaining(holdout: RowMask, left_out: Positions) -> tuple[RowMask, RowMask]:
    """Return which rows are the training part and which the holdout, without some rows.

    Args:
        holdout: which rows of the delivery the split holds out.
        left_out: positions of the rows that are in neither part.

    Raises:
        DataRejected: when a part is left without a row.
    """
    training, remaining = ~holdout, holdout.copy()
    training[left_out] = remaining[left_out] = False
    for name, side in (("training", training), ("holdout", remaining)):
        if not side.any():
            raise DataRejected(f"the keys to forget leave no {name} rows of {len(side):,}")
    return training, remaining


def _read(store: Store, model: str, newest: int) -> list[str]:
    """Return the different hashes of all requests up to one, ascending."""
    hashes: set[str] = set()
    for number in range(1, newest + 1):
        key = forget_key(model, number)
        data = store.read_if_present(key)
        if data is None:
            raise EvidenceError(f"{store.uri}/{key}: is missing: a request is never removed")
        request = ForgetRequest.from_bytes(data, where=key)
        if (request.model, request.number) != (model, number):
            raise EvidenceError(f"{key}: is request {request.number} of {request.model}")
        hashes.update(request.keys)
    return sorted(hashes)


def _list_of(requests: int, hashes: list[str]) -> ForgetList:
    digest = sha256_of(canonical_json(hashes))
    return ForgetList(requests=requests, keys=len(hashes), digest=digest)
