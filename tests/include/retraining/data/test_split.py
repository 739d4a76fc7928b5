from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.retraining.data.split import holdout_mask, key_hashes, keys_on_both_sides, split_used
from include.retraining.exceptions import DataRejected
from tests.support import apples

BY_TIME = {"data.split": {"by": "time", "column": "day", "holdout_days": 7}}
KEYS = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.text(max_size=40), st.from_regex(r"-?[0-9]{1,20}\Z")
)


def slowly(key: int | str, salt: str) -> int:
    """The hash of one key, as the module's docstring says it, one step at a time."""
    text = str(key)
    digits = text.removeprefix("-")
    is_plain = digits == "0" if digits.startswith("0") else digits.isascii() and digits.isdigit()
    if is_plain and len(digits) <= 18 and text != "-0":
        number = int(text)
    else:
        number = 0xCBF29CE484222325
        for octet in text.encode():
            number = (number ^ octet) * 0x100000001B3 % 2**64
    salted = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "big")
    return mix(mix((number + 0x9E3779B97F4A7C15) % 2**64) ^ salted)


def mix(value: int) -> int:
    """The finalizer of SplitMix64."""
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


@settings(max_examples=80, deadline=None)
@given(keys=st.lists(KEYS, min_size=1, max_size=30), salt=st.text(min_size=1, max_size=10))
def test_the_hash_is_the_documented_one(keys: list[int | str], salt: str):
    """The vectorised hash equals the one that the docstring describes, for any keys."""
    hashes = key_hashes(pd.Series(keys, dtype=object), salt)
    assert hashes.tolist() == [slowly(key, salt) for key in keys]


def test_the_hash_never_changes():
    """These values hold for ever: another hash would put trained rows into the holdout."""
    assert key_hashes(pd.Series([12]), "apples-1").tolist() == [slowly(12, "apples-1")]
    assert slowly(12, "apples-1") == 0xA61CFD89A0B86786
    assert slowly("A-12", "apples-1") == 0xD3ECCD6C504CBD5F


@settings(max_examples=50, deadline=None)
@given(keys=st.lists(st.integers(-(2**53), 2**53), min_size=1, max_size=30))
def test_a_number_hashes_alike_in_any_format(keys: list[int]):
    """The key 12 from Parquet and the key 12 from CSV are one row, whatever type it came in."""
    expected = key_hashes(pd.Series(keys, dtype="int64"), "s").tolist()
    forms = [
        pd.Series([str(key) for key in keys]),
        pd.Series([str(key) for key in keys], dtype=object),
        pd.Series(keys, dtype="float64"),
        pd.Series(keys, dtype="Int64"),
        pd.Series(keys, dtype=object),
        pd.Series(keys).astype("category"),
    ]
    for form in forms:
        assert key_hashes(form, "s").tolist() == expected, form.dtype


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(100, 400),
    added=st.integers(0, 200),
    order=st.randoms(use_true_random=False),
)
def test_a_row_stays_where_it_is(seed: int, rows: int, added: int, order):
    """Neither other rows nor their order move a row between training and holdout."""
    config = apples.config()
    frame = apples.harvest(rows, seed=seed)
    sides = dict(zip(frame["apple_id"], holdout_mask(frame, config), strict=True))
    longer = apples.harvest(rows + added, seed=seed + 1)
    shuffled = list(range(rows + added))
    order.shuffle(shuffled)
    longer = longer.iloc[shuffled].reset_index(drop=True)
    later = dict(zip(longer["apple_id"], holdout_mask(longer, config), strict=True))
    assert {key: later[key] for key in sides} == sides


@settings(max_examples=50, deadline=None)
@given(
    fraction=st.floats(0.05, 0.95),
    salt=st.text(min_size=1, max_size=20),
    start=st.integers(0, 10**15),
    is_text=st.booleans(),
)
def test_the_fraction_is_kept(fraction: float, salt: str, start: int, is_text: bool):
    """About the configured share of any keys is the holdout: within six standard deviations."""
    config = apples.config({"data.split.holdout_fraction": fraction, "data.split.salt": salt})
    keys = np.arange(start, start + 4000)
    frame = pd.DataFrame({"apple_id": [f"apple-{key}" for key in keys] if is_text else keys})
    share = holdout_mask(frame, config).mean()
    assert abs(share - fraction) < 6 * (fraction * (1 - fraction) / 4000) ** 0.5


def test_salts_are_independent():
    """Two models with the same keys and other salts do not share their holdout."""
    keys = pd.DataFrame({"apple_id": np.arange(10_000)})
    first = holdout_mask(keys, apples.config())
    second = holdout_mask(keys, apples.config({"data.split.salt": "apples-2"}))
    assert abs((first & second).mean() - 0.25**2) < 0.02


def test_chunks_do_not_change_the_hash(monkeypatch: pytest.MonkeyPatch):
    """Large deliveries are hashed in pieces, with the same result."""
    keys = pd.Series([f"k{number}" for number in range(100)])
    expected = key_hashes(keys, "s").tolist()
    monkeypatch.setattr("include.retraining.data.split.CHUNK_ROWS", 7)
    assert key_hashes(keys, "s").tolist() == expected


@pytest.mark.fault("B06")
@pytest.mark.parametrize("changes", [{}, BY_TIME])
def test_training_and_holdout_are_disjoint(changes: dict[str, Any]):
    """No key is on both sides, and every row is on one."""
    frame = apples.harvest().assign(day=pd.date_range("2026-01-01", periods=200).astype(str))
    mask = holdout_mask(frame, apples.config(changes))
    assert keys_on_both_sides(frame["apple_id"], mask) == 0
    assert 0 < mask.sum() < len(frame)


@pytest.mark.fault("B06")
def test_a_key_on_both_sides_is_counted():
    """A key that a split by time put on both sides is a leak (B06)."""
    keys = pd.Series([1, 2, 3, 1, 2, 2])
    mask = np.array([False, False, False, True, True, True])
    assert keys_on_both_sides(keys, mask) == 2


def test_equal_keys_are_never_parted():
    """With a split by key, a key that is there twice is twice on the same side."""
    frame = pd.DataFrame({"apple_id": np.repeat(np.arange(500), 2)})
    mask = holdout_mask(frame, apples.config())
    assert (mask[::2] == mask[1::2]).all()


def test_a_split_by_time_takes_the_newest_days():
    """Rows younger than so many days, counted from the newest row, are the holdout."""
    config = apples.config(BY_TIME)
    frame = pd.DataFrame({
        "apple_id": range(4),
        "day": ["2026-11-17T00:00", "2026-11-24T00:00", "2026-11-17T00:01", "2026-01-01"],
    })
    mask = holdout_mask(frame, config)
    assert mask.tolist() == [False, True, True, False]
    used = split_used(frame, ~mask, config)
    assert used.train_until == datetime(2026, 11, 17, tzinfo=UTC)
    assert (used.by, used.column, used.holdout_days) == ("time", "day", 7)


def test_a_split_by_key_says_what_it_used():
    """Fraction and salt are kept, so that versions compare only if they agree."""
    config = apples.config()
    frame = apples.harvest()
    used = split_used(frame, ~holdout_mask(frame, config), config)
    assert (used.by, used.holdout_fraction, used.salt) == ("key", 0.25, "apples-1")
    assert used.train_until is None


def test_an_unreadable_time_is_refused():
    """A row without a time cannot be put on a side."""
    frame = pd.DataFrame({"apple_id": [1, 2, 3], "day": ["2026-11-17", "soon", None]})
    with pytest.raises(DataRejected, match="day: 2 rows hold no date"):
        holdout_mask(frame, apples.config(BY_TIME))


@pytest.mark.parametrize(
    ("frame", "side"),
    [
        (pd.DataFrame({"apple_id": [], "day": []}), "holdout"),
        (pd.DataFrame({"apple_id": [1, 2], "day": ["2026-11-17", "2026-11-18"]}), "training"),
    ],
)
def test_an_empty_side_is_refused(frame: pd.DataFrame, side: str):
    """Without rows on one side there is nothing to train on, or nothing to judge by."""
    with pytest.raises(DataRejected, match=f"leaves no {side} rows"):
        holdout_mask(frame, apples.config(BY_TIME))
