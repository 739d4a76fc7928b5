"""The data contract: what the model's own `Contract` promises, and what every delivery must keep.

All violations are collected before anything is refused. A violation names the column, the rule, the
number of rows and some of their keys, and never a value of a cell: columns may be protected.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.engines.pandas_engine import Engine
from pandera.errors import SchemaError, SchemaErrorReason, SchemaErrors

from include.retraining.code import ModelCode
from include.retraining.config import ModelConfig
from include.retraining.delivery_rules import violated_dates, violated_label, violated_volume
from include.retraining.exceptions import ConfigError, DataRejected
from include.retraining.violations import (
    EXAMPLES,
    FINITE,
    KNOWN,
    NOT_NULL,
    ONCE,
    PRESENT,
    UNIQUE,
    Expectations,
    Violation,
    is_number,
    rows_breaking,
)


def check_contract(
    frame: pd.DataFrame,
    config: ModelConfig,
    code: ModelCode,
    *,
    run_date: date,
    earlier_rows: Sequence[int],
) -> tuple[str, ...]:
    """Hold a delivery against its contract.

    Args:
        frame: all of it, with an index that counts from 0.
        config: the model's.
        code: the model's.
        run_date: the date of the data.
        earlier_rows: rows of earlier accepted deliveries.

    Returns:
        The rules that ran, by name.

    Raises:
        DataRejected: with every violation, a line each.
        ConfigError: when the contract itself cannot be applied.
    """
    expected = expectations(config, code, run_date=run_date, earlier_rows=earlier_rows)
    violations = find_violations(frame, expected)
    if violations:
        raise DataRejected(_told(violations))
    return rule_names(expected)


def _told(violations: list[Violation]) -> str:
    """Return one line, and a list below it when there is more than one violation."""
    first = f"the data breaks its contract: {violations[0]}"
    if len(violations) == 1:
        return first
    others = len(violations) - 1
    return "\n- ".join([f"{first} (and {others} more, all below)", *map(str, violations)])


def expectations(
    config: ModelConfig, code: ModelCode, *, run_date: date, earlier_rows: Sequence[int]
) -> Expectations:
    """Return what a delivery is held against.

    Raises:
        ConfigError: when the contract is invalid, changes what it checks, or leaves a column that
            the model depends on unchecked.
    """
    where = f"include/models/{config.name}.py: Contract"
    try:
        schema = copy.deepcopy(code.contract.to_schema())
    except Exception as error:
        raise ConfigError(f"{where}: is not valid: {type(error).__name__}: {error}") from error
    changing = {
        "coerce": schema.coerce or any(column.coerce for column in schema.columns.values()),
        "strict = 'filter'": schema.strict == "filter",
        "drop_invalid_rows": schema.drop_invalid_rows,
        "add_missing_columns": schema.add_missing_columns,
        "a parser": schema.parsers or any(column.parsers for column in schema.columns.values()),
    }
    for name, is_used in changing.items():
        if is_used:
            raise ConfigError(f"{where}: {name} is not allowed: training reads what was delivered")
    needed = (config.data.key, config.data.label, *code.features)
    unchecked = [name for name in needed if name not in schema.columns]
    if unchecked:
        raise ConfigError(f"{where}: does not declare {', '.join(unchecked)}")
    return Expectations(config, schema, code.features, run_date, tuple(earlier_rows))


def rule_names(expected: Expectations) -> tuple[str, ...]:
    """Return the name of every rule that is applied."""
    schema, data = expected.schema, expected.config.data
    names = [f"{name}: {PRESENT}" for name in expected.columns]
    for name, column in schema.columns.items():
        names += [f"{name}: type {column.dtype}"] if column.dtype else []
        names += [f"{name}: {check_name(check)}" for check in column.checks]
    names += [f"{name}: {NOT_NULL}" for name in _not_nullable(expected)]
    names += [f"{name}: {UNIQUE}" for name in _unique(expected)]
    names += [check_name(check) for check in schema.checks]
    names += [f"numbers: {FINITE}", f"rows: at least {data.min_rows:,}", f"{data.label}: classes"]
    names += ["volume"] if data.volume and expected.earlier_rows else []
    names += ["label rate"] if data.label_rate else []
    names += ["freshness"] if data.freshness else []
    return tuple(names)


def find_violations(frame: pd.DataFrame, expected: Expectations) -> list[Violation]:
    """Return everything that a delivery breaks.

    Raises:
        ConfigError: when a check of the contract fails to run.
    """
    found: list[Violation] = []
    twice = frame.columns.duplicated()
    found += [Violation(str(name), ONCE) for name in sorted(set(frame.columns[twice]))]
    frame = frame.loc[:, ~twice] if twice.any() else frame
    found += _violated_columns(frame, expected)
    found += _violated_rows(frame, expected)
    found += _violated_types(frame, expected)
    found += _violated_checks(frame, expected)
    found += violated_label(frame, expected)
    found += violated_volume(len(frame), expected)
    found += violated_dates(frame, expected)
    return found


def _violated_columns(frame: pd.DataFrame, expected: Expectations) -> Iterator[Violation]:
    known = set(expected.columns) | set(expected.schema.columns)
    extra = [str(name) for name in frame.columns if name not in known]
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in extra}
    for name in expected.columns:
        if name not in frame.columns:
            wanted = re.sub(r"[^a-z0-9]", "", name.lower())
            near = get_close_matches(wanted, plain, n=1, cutoff=0.75)
            hint = f" (renamed to {plain[near[0]]!r}?)" if near else ""
            yield Violation(name, f"{PRESENT}{hint}")
    if expected.schema.strict:
        yield from (Violation(name, KNOWN) for name in extra)


def _violated_rows(frame: pd.DataFrame, expected: Expectations) -> Iterator[Violation]:
    """Check missing, repeated and infinite values."""
    for name in _not_nullable(expected):
        if name in frame.columns and frame[name].hasnans:
            yield rows_breaking(frame, expected, name, NOT_NULL, frame[name].isna().to_numpy())
    for name in _unique(expected):
        if name in frame.columns:
            # A key that is missing is told of once, as missing.
            repeated = (frame[name].duplicated() & frame[name].notna()).to_numpy()
            if repeated.any():
                yield rows_breaking(frame, expected, name, UNIQUE, repeated)
    for name in frame.columns:
        if pd.api.types.is_float_dtype(frame[name].dtype):
            infinite = np.isinf(frame[name].to_numpy(dtype=float, na_value=0.0))
            if infinite.any():
                yield rows_breaking(frame, expected, str(name), FINITE, infinite)


def _violated_types(frame: pd.DataFrame, expected: Expectations) -> Iterator[Violation]:
    for name in _wrong_types(frame, expected.schema):
        declared, found = expected.schema.columns[name].dtype, frame[name].dtype
        rule = f"must be of type {declared}, is {found}"
        not_number = np.zeros(len(frame), dtype=bool)
        if re.match(r"int|uint|float", str(declared)) and not is_number(frame[name]):
            numbers = pd.to_numeric(frame[name], errors="coerce")
            not_number = (numbers.isna() & frame[name].notna()).to_numpy(dtype=bool)
        if not_number.any():
            yield rows_breaking(frame, expected, name, rule, not_number)
        else:
            yield Violation(name, rule)


def _violated_checks(frame: pd.DataFrame, expected: Expectations) -> Iterator[Violation]:
    """Run the contract's own checks on the columns that are there and have the right type."""
    schema = copy.deepcopy(expected.schema)
    unusable = {name for name in schema.columns if name not in frame.columns}
    unusable |= set(_wrong_types(frame, schema))
    if unusable:
        schema.checks = []  # they may look at any column
        schema = schema.remove_columns(sorted(unusable))
    schema.strict = False
    for column in schema.columns.values():
        # All that is not a check is told of by the rules above, which count without copying.
        column.nullable, column.unique, column.dtype = True, False, None
        for check in column.checks:
            check.n_failure_cases = EXAMPLES
    for check in schema.checks:
        check.n_failure_cases = EXAMPLES
    if not schema.columns:
        return
    try:
        schema.validate(frame, lazy=True, inplace=True)
    except SchemaErrors as errors:
        for error in errors.schema_errors:
            yield _from_pandera(error, frame, expected)


def _from_pandera(error: SchemaError, frame: pd.DataFrame, expected: Expectations) -> Violation:
    name = getattr(error.schema, "name", None)
    column = name if name in frame.columns else None
    if error.reason_code is SchemaErrorReason.CHECK_ERROR:
        raise ConfigError(
            f"include/models/{expected.config.name}.py: Contract: the check "
            f"{check_name(error.check)!r}{f' of {column}' if column else ''} crashed"
        )
    if error.reason_code is not SchemaErrorReason.DATAFRAME_CHECK:
        return Violation(column, str(error.reason_code.value).replace("_", " "))
    passed = error.check_output
    if isinstance(passed, pd.DataFrame):
        passed = passed.all(axis="columns")
    if not isinstance(passed, pd.Series) or len(passed) != len(frame):
        return Violation(column, check_name(error.check))
    return rows_breaking(
        frame, expected, column, check_name(error.check), ~passed.to_numpy(dtype=bool)
    )


def _not_nullable(expected: Expectations) -> tuple[str, ...]:
    data = expected.config.data
    declared = [name for name, column in expected.schema.columns.items() if not column.nullable]
    return tuple(dict.fromkeys((data.key, data.label, *declared)))


def _unique(expected: Expectations) -> tuple[str, ...]:
    declared = [name for name, column in expected.schema.columns.items() if column.unique]
    return tuple(dict.fromkeys((expected.config.data.key, *declared)))


def _wrong_types(frame: pd.DataFrame, schema: pa.DataFrameSchema) -> list[str]:
    """Return the columns whose type is not the declared one, nor fits into it without loss."""
    wrong = []
    for name, column in schema.columns.items():
        if column.dtype is None or name not in frame.columns:
            continue
        values = frame[name]
        accepted = column.dtype.check(Engine.dtype(values.dtype), values)
        if not np.all(accepted) and not _fits(values, str(column.dtype)):
            wrong.append(name)
    return wrong


def _fits(values: pd.Series[Any], declared: str) -> bool:
    """Return whether a difference in type comes from the file's format alone.

    A CSV column of numbers is read as integers when no cell has a point; an all-empty column as
    floats; times have whatever unit the writer chose.
    """
    if declared.startswith("float"):
        return pd.api.types.is_integer_dtype(values.dtype)
    if declared == "datetime64[ns]":
        return isinstance(values.dtype, np.dtype) and values.dtype.kind == "M"
    return False


def check_name(check: Any) -> str:
    """Return the rule of a check; its numbers come from the contract, never from the data."""
    text = getattr(check, "error", None) or getattr(check, "name", None) or str(check)
    return " ".join(str(text).split())[:120]
