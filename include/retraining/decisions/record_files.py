"""Where a model's decision records lie, and reading one, without asking the promotion log."""

from __future__ import annotations

import re

from include.retraining.decisions.record import DecisionRecord
from include.retraining.store import layout
from include.retraining.store.object_store import Store

_RECORD_NAME = re.compile(r"(.+\.[0-9]{3,})(\.corrected)?\.json")


def decision_keys(store: Store, model: str) -> list[str]:
    """Return the keys of a model's decision records, that of the run due last first."""
    folder = layout.decisions_folder(model)
    names = (info.key.removeprefix(f"{folder}/") for info in store.children(folder)[1])
    runs = {match[1] for name in names if (match := _RECORD_NAME.fullmatch(name))}
    return [f"{folder}/{run}.json" for run in sorted(runs, reverse=True)]


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
