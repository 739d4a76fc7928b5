"""Bad frames that each run makes from its delivery, to see that the contract still refuses them.

A contract that crashes is noticed; one that checks nothing any more is not, unless it is tried. Of
a wide delivery some columns are tried, spread over all: it is rules that go blind, not columns.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from include.retraining.data.contract import find_violations, with_columns_of
from include.retraining.data.contract_checks import check_name
from include.retraining.data.violations import FINITE, NOT_NULL, PRESENT, UNIQUE, Expectations
from include.retraining.exceptions import ConfigError

SAMPLE_ROWS = 200
SAMPLE_COLUMNS = 100
FAR = 1_000_000


@dataclass(frozen=True)
class BadFrame:
    """A frame with one fault."""

    name: str
    frame: pd.DataFrame
    columns: tuple[str, ...]
    """Each of them must be complained about."""
    rules: tuple[str, ...]
    """By one of these rules."""


def check_contract_refuses(frame: pd.DataFrame, expected: Expectations) -> tuple[str, ...]:
    """Return the names of the bad frames that were refused: all of them.

    Args:
        frame: a delivery that keeps its contract.
        expected: what it was held against.

    Raises:
        ConfigError: when a bad frame passes.
    """
    refused = []
    sample, expected = _sample(frame, expected)
    for bad in _bad_frames(sample, expected):
        reported = {
            violation.column
            for violation in find_violations(bad.frame, expected)
            if violation.rule.startswith(bad.rules)
        }
        passed = [name for name in bad.columns if name not in reported]
        if passed:
            raise ConfigError(
                f"include/models/{expected.config.name}.py: Contract: it accepted a bad frame "
                f"({bad.name}: {', '.join(passed)}), so that it proves nothing"
            )
        refused.append(bad.name)
    return tuple(refused)


def _sample(frame: pd.DataFrame, expected: Expectations) -> tuple[pd.DataFrame, Expectations]:
    """Return some rows and columns, and what is expected of these columns.

    What the YAML names is always among them; checks on the whole frame may look at any column and
    are left out.
    """
    expected = with_columns_of(expected, frame)
    schema = copy.copy(expected.schema)
    named = set(replace(expected, features=()).used)
    others = [name for name in frame.columns if name not in named]
    chosen = named | set(others[:: max(1, -(-len(others) // SAMPLE_COLUMNS))])
    schema.columns = {name: column for name, column in schema.columns.items() if name in chosen}
    schema.checks, schema.unique, schema.ordered = [], None, False
    features = tuple(name for name in expected.features if name in chosen)
    sample = frame[[name for name in frame.columns if name in chosen]].head(SAMPLE_ROWS).copy()
    return sample, replace(expected, schema=schema, features=features)


def _bad_frames(sample: pd.DataFrame, expected: Expectations) -> Iterator[BadFrame]:
    data, schema = expected.config.data, expected.schema
    yield BadFrame("column dropped", sample.drop(columns=data.label), (data.label,), (PRESENT,))
    twice = sample[data.key].copy()
    twice.iloc[-1] = twice.iloc[0]
    yield BadFrame("key twice", _changed(sample, {data.key: twice}), (data.key,), (UNIQUE,))
    missing = tuple(
        name
        for name in dict.fromkeys((data.label, *schema.columns))
        if name in sample.columns and (name == data.label or not schema.columns[name].nullable)
    )
    holes = {name: sample[name].where(np.arange(len(sample)) > 0) for name in missing}
    yield BadFrame("values missing", _changed(sample, holes), missing, (NOT_NULL,))
    infinite = {
        name: _with_first(sample[name], np.inf)
        for name in sample.columns
        if pd.api.types.is_float_dtype(sample[name].dtype)
    }
    if infinite:
        yield BadFrame("infinite", _changed(sample, infinite), tuple(infinite), (FINITE,))
    outside = {
        name: _with_first(sample[name], value)
        for name, column in schema.columns.items()
        if name in sample.columns
        and (value := _value_outside(sample[name], column.checks)) is not None
    }
    checks = tuple(check_name(check) for name in outside for check in schema.columns[name].checks)
    if outside:
        yield BadFrame("out of range", _changed(sample, outside), tuple(outside), checks)


def _changed(sample: pd.DataFrame, columns: dict[str, pd.Series[Any]]) -> pd.DataFrame:
    frame = sample.copy()
    for name, values in columns.items():
        frame[name] = values
    return frame


def _with_first(values: pd.Series[Any], value: float) -> pd.Series[Any]:
    changed = values.copy()
    changed.iloc[0] = value
    return changed


def _value_outside(values: pd.Series[Any], checks: list[Any]) -> float | None:
    """Return a number that a column's type can hold and its ranges forbid, or None."""
    if not isinstance(values.dtype, np.dtype) or values.dtype.kind not in "iuf":
        return None
    limits: Any = np.finfo(values.dtype) if values.dtype.kind == "f" else np.iinfo(values.dtype)
    for check in checks:
        facts = check.statistics or {}
        allowed = [item for item in facts.get("allowed_values", ()) if np.isreal(item)]
        largest = facts.get("max_value", max(allowed, default=None))
        smallest = facts.get("min_value", min(allowed, default=None))
        if isinstance(largest, int | float) and largest + FAR <= limits.max:
            return largest + FAR
        if isinstance(smallest, int | float) and smallest - FAR >= limits.min:
            return smallest - FAR
    return None
