"""Which rows are the holdout: by a hash of each row's key, or by time.

By key, a row is in the holdout when its hash lies below the fraction of the hash's range. The hash
depends on nothing but the salt and the key, so a row stays on its side no matter what else is
delivered, in which order and in which format. On unsigned 64-bit integers that wrap around, it is:

- a key counts by its text as it stands in the file (`key_texts`). A text that is a whole number of
  at most 18 digits, written without a sign, a point or zeros before it, counts as that number, so
  that the integer 12 of one file and the text "12" of another are one key, and "0012" is not; any
  other text counts as its FNV-1a hash in UTF-8;
- `mix(mix(number + 0x9E3779B97F4A7C15) xor salt)`, where `salt` is the first eight bytes (big
  endian) of the SHA-256 of the configured salt and `mix` is the finalizer of SplitMix64.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.retraining.config.model import KeySplit, ModelConfig, TimeSplit
from include.retraining.data.arrays import Column, RowMask
from include.retraining.data.split_record import SplitUsed
from include.retraining.exceptions import DataRejected

CHUNK_ROWS = 32_768
"""What is computed of so many rows fits into a processor's cache."""
WHOLE_NUMBER = r"^(0|-?[1-9][0-9]{0,17})$"
MAX_WHOLE = 10**18
FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)

Hashes = npt.NDArray[np.uint64]


def holdout_mask(frame: pd.DataFrame, config: ModelConfig) -> RowMask:
    """Return which rows are the holdout.

    Args:
        frame: it needs the key, or the column that the split goes by.
        config: the model's.

    Raises:
        DataRejected: when one side would be empty, or a row's time cannot be read.
    """
    split = config.data.split
    if isinstance(split, KeySplit):
        hashes = key_hashes(frame[config.data.key], split.salt)
        mask = hashes < np.uint64(int(split.holdout_fraction * 2**64))
    else:
        mask = _newest(times(frame[split.column]), split)
    for name, rows in (("holdout", int(mask.sum())), ("training", int((~mask).sum()))):
        if rows == 0:
            raise DataRejected(f"the split leaves no {name} rows of {len(mask):,}")
    return mask


def training_mask(frame: pd.DataFrame, older: RowMask, config: ModelConfig) -> RowMask:
    """Return which rows are fitted to: those before the holdout, but not in the gap before it.

    Args:
        frame: the whole delivery; it needs the column that the split goes by.
        older: which rows may be fitted to: none of the holdout, none that are to be forgotten.
        config: the model's.

    Raises:
        DataRejected: when the gap leaves none, or a row's time cannot be read.
    """
    split = config.data.split
    if isinstance(split, KeySplit) or not split.gap_days:
        return older
    when = times(frame[split.column])
    gap = pd.Timedelta(days=split.gap_days)
    training: RowMask = older & (when <= newest_cut(when, split) - gap).to_numpy(dtype=bool)
    if not training.any():
        raise DataRejected(
            f"data.split.gap_days: no row is older than the holdout and the {split.gap_days:g} "
            "days before it"
        )
    return training


def split_used(frame: pd.DataFrame, training: RowMask, config: ModelConfig) -> SplitUsed:
    """Return how the holdout was chosen, and for a split by time, up to when rows are fitted to."""
    split = config.data.split
    if isinstance(split, KeySplit):
        keys = frame[config.data.key]
        return SplitUsed(
            by="key",
            holdout_fraction=split.holdout_fraction,
            salt=split.salt,
            key=config.data.key,
            key_read=_read_as(keys),
        )
    newest = times(frame[split.column])[training].max()
    return SplitUsed(
        by="time",
        column=split.column,
        holdout_days=split.holdout_days,
        windows=split.windows if split.windows > 1 else None,
        gap_days=split.gap_days or None,
        train_until=newest.to_pydatetime(warn=False),
    )


def keys_on_both_sides(keys: pd.Series[Any], mask: RowMask) -> int:
    """Return how many different keys are in the training part and in the holdout."""
    holdout = keys[mask]
    return int(holdout[holdout.isin(keys[~mask])].nunique())


def key_texts(keys: pd.Series[Any]) -> pa.LargeStringArray:
    """Return each key as the text that stands for it in a file: 12 for 12 and 12.0."""
    if _is_whole(keys):
        return pc.cast(pa.array(keys.to_numpy()), pa.large_string())
    return pa.array(_texts(keys), type=pa.large_string())


def key_values(keys: Column) -> Column:
    """Return keys as whole numbers where all of them are, else as texts.

    The same keys get the same values, whether they come from CSV or from Parquet.
    """
    series = pd.Series(keys)
    if _is_whole(series) and _have_few_digits(keys):
        return keys.astype(np.int64)
    texts = key_texts(series)
    if pc.all(pc.match_substring_regex(texts, WHOLE_NUMBER)).as_py():
        texts = pc.cast(texts, pa.int64())
    values: Column = texts.to_numpy(zero_copy_only=False)
    return values


def _read_as(keys: pd.Series[Any]) -> str:
    """Return how keys became text: `text` as they were written, or by the type of their value.

    A number with a point, or a time, is written differently by different programs.
    """
    if pd.api.types.is_float_dtype(keys.dtype):
        return "float"
    return "time" if pd.api.types.is_datetime64_any_dtype(keys.dtype) else "text"


def key_hashes(keys: pd.Series[Any], salt: str) -> Hashes:
    """Return a salted 64-bit hash per key, as the module describes."""
    mixed_in = np.uint64(int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "big"))
    hashes = np.empty(len(keys), dtype=np.uint64)
    for start in range(0, len(keys), CHUNK_ROWS):
        part = slice(start, start + CHUNK_ROWS)
        numbers = _numbers(keys.iloc[part])
        hashes[part] = mix(mix(numbers + np.uint64(0x9E3779B97F4A7C15)) ^ mixed_in)
    return hashes


def times(column: pd.Series[Any]) -> pd.Series[pd.Timestamp]:
    """Return a column of dates or times in UTC; one without a zone is taken as UTC.

    Raises:
        DataRejected: naming the column and the number of rows that hold no time.
    """
    parsed = times_or_missing(column)
    unreadable = int(parsed.isna().sum())
    if unreadable:
        raise DataRejected(
            f"{column.name}: {unreadable:,} rows hold no date or time in ISO 8601, like 2026-11-24"
        )
    return parsed


def times_or_missing(column: pd.Series[Any]) -> pd.Series[pd.Timestamp]:
    """Return a column of dates or times in UTC, `NaT` where a cell holds none."""
    return pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")


def newest_cut(when: pd.Series[pd.Timestamp], split: TimeSplit, periods: int = 1) -> pd.Timestamp:
    """Return the time after which rows are in the newest periods of `holdout_days`."""
    return when.max() - periods * pd.Timedelta(days=split.holdout_days)


def _newest(when: pd.Series[pd.Timestamp], split: TimeSplit) -> RowMask:
    return (when > newest_cut(when, split)).to_numpy(dtype=bool)


def _numbers(keys: pd.Series[Any]) -> Hashes:
    """Return the number that each key counts as."""
    if _is_whole(keys):
        values = keys.to_numpy()
        if _have_few_digits(values):
            return values.astype(np.int64).view(np.uint64)
    texts = key_texts(keys)
    is_whole = pc.match_substring_regex(texts, WHOLE_NUMBER).to_numpy(zero_copy_only=False)
    numbers = np.empty(len(texts), dtype=np.uint64)
    wholes = pc.cast(texts.filter(pa.array(is_whole)), pa.int64()).to_numpy(zero_copy_only=False)
    numbers[is_whole] = wholes.astype(np.int64).view(np.uint64)
    numbers[~is_whole] = _fnv1a(texts.filter(pa.array(~is_whole)))
    return numbers


def _is_whole(keys: pd.Series[Any]) -> bool:
    return pd.api.types.is_integer_dtype(keys.dtype) and not keys.hasnans


def _have_few_digits(keys: Column) -> bool:
    """Return whether whole numbers have at most as many digits as `WHOLE_NUMBER` allows."""
    return len(keys) == 0 or (int(keys.min()) > -MAX_WHOLE and int(keys.max()) < MAX_WHOLE)


def _texts(keys: pd.Series[Any]) -> list[str]:
    """Return each key as text; a float that is a whole number is written as one."""
    return [
        str(int(key)) if isinstance(key, float) and key.is_integer() else str(key)
        for key in keys.tolist()
    ]


def _fnv1a(texts: pa.LargeStringArray) -> Hashes:
    """Return the 64-bit FNV-1a hash of each text's UTF-8 bytes, all texts a byte at a time."""
    texts = pa.concat_arrays([texts])  # a fresh array starts at offset 0 of its buffers
    _, offsets_buffer, bytes_buffer = texts.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype=np.int64)[: len(texts) + 1]
    content = np.frombuffer(bytes_buffer or b"", dtype=np.uint8)
    starts, lengths = offsets[:-1], np.diff(offsets)
    hashes = np.full(len(texts), FNV_OFFSET)
    for position in range(int(lengths.max(initial=0))):
        (longer,) = np.nonzero(lengths > position)
        octets = content[starts[longer] + position].astype(np.uint64)
        hashes[longer] = (hashes[longer] ^ octets) * FNV_PRIME
    return hashes


def mix(values: Hashes) -> Hashes:
    """Return the finalizer of SplitMix64: every bit of the input moves every bit of the output."""
    mixed = values ^ (values >> np.uint64(30))
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
