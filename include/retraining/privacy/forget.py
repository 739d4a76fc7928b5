"""Asking for keys to be forgotten, from the next training on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from include.retraining.data.forget_list import ForgetRequest, key_hashes_in_hex, newest_request
from include.retraining.exceptions import ConfigError
from include.retraining.store.layout import forget_key
from include.retraining.store.object_store import Store

MAX_KEYS = 1_000_000


def read_keys(path: Path) -> list[str]:
    """Return the keys of a file that has one on each line; blank lines do not count.

    Raises:
        ConfigError: when it cannot be read, or has none or too many; it repeats no key.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"--keys {path}: cannot be read: {type(error).__name__}") from error
    keys = [line for line in lines if line.strip()]
    if not 0 < len(keys) <= MAX_KEYS:
        raise ConfigError(f"--keys {path}: has {len(keys):,} keys, allowed are 1 to {MAX_KEYS:,}")
    return keys


def forget(
    store: Store, model: str, keys: Sequence[str], *, actor: str, reason: str
) -> ForgetRequest:
    """Add a request to a model's list of keys to forget; of each key only its hash is kept.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    hashes = key_hashes_in_hex(pd.Series(keys, dtype=object))
    while True:
        request = ForgetRequest(
            model=model,
            number=newest_request(store, model) + 1,
            keys=hashes,
            actor=actor,
            reason=reason,
            created_at=datetime.now(UTC),
        )
        if store.create(forget_key(model, request.number), request.to_bytes()):
            return request
