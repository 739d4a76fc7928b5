from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.retraining.data.kept_rows import KeptRows

RANDOM = np.random.default_rng(1)
ROWS = 1000
FLOATS = pd.DataFrame(RANDOM.normal(size=(ROWS, 3)), columns=["a", "b", "c"])
MIXED = pd.DataFrame({
    "whole": np.arange(ROWS),
    "double": RANDOM.normal(size=ROWS),
    "word": pd.Series(["x", None] * (ROWS // 2), dtype="str"),
    "single": RANDOM.normal(size=ROWS).astype(np.float32),
    "flag": RANDOM.random(ROWS) > 0.5,
    "other": RANDOM.normal(size=ROWS),
    "known": pd.array([1.5, None] * (ROWS // 2), dtype="Float64"),
    "time": pd.date_range("2026-01-01", periods=ROWS, tz="UTC"),
    "kind": pd.Series(["m", "n"] * (ROWS // 2), dtype="category"),
})
MASK = RANDOM.random(ROWS) < 0.8


def kept(frame: pd.DataFrame, mask: np.ndarray) -> pd.DataFrame:
    """Some rows, gathered column by column."""
    rows = KeptRows(mask, frame.shape[1])
    for name in frame.columns:
        rows.add(frame[name])
    return rows.frame()


@pytest.mark.parametrize("mask", [MASK, np.zeros(ROWS, bool), np.ones(ROWS, bool)])
@pytest.mark.parametrize(
    "frame", [FLOATS, FLOATS.astype("float32"), MIXED, MIXED[["whole", "double", "other"]]]
)
def test_the_rows_are_those_that_pandas_would_choose(frame: pd.DataFrame, mask: np.ndarray):
    """Values, types, order of columns, and the index of the delivery."""
    pd.testing.assert_frame_equal(kept(frame, mask), frame[mask])


def test_floats_of_one_type_are_a_matrix_already():
    """A library that asks for a matrix is given the memory that the frame has, and no copy."""
    rows = kept(FLOATS, MASK)
    assert np.shares_memory(np.asarray(rows), rows["b"].to_numpy())
    assert np.asarray(rows).flags.f_contiguous  # as the copy would be: sums add in the same order
    assert np.asarray(FLOATS[MASK]).flags.f_contiguous
