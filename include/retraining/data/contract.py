"""The data contract: what the model's own `Contract` promises, and what every delivery must keep.

All violations are collected before anything is refused. A violation names the column, the rule, the
number of rows and some of their keys, and never a value of a cell: columns may be protected.
"""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import chain

import numpy as np
import pandas as pd
import pandera.pandas as pa

from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import ModelCode
from include.retraining.data.common_rules import (
    violated_dates,
    violated_groups,
    violated_label,
    violated_volume,
)
from include.retraining.data.contract_checks import (
    broken_column_checks,
    broken_frame_checks,
    check_name,
)
from include.retraining.data.declared_columns import (
    declared_columns,
    is_declared,
    unmatched_patterns,
)
from include.retraining.data.frame_rules import (
    columns_with_infinite,
    columns_with_missing,
    nested_columns,
    unique_sets,
    violated_columns,
    violated_uniqueness,
)
from include.retraining.data.refusal import refused
from include.retraining.data.type_rules import type_hint, type_rule, wrong_types
from include.retraining.data.violations import (
    DUPLICATE_COLUMN,
    FINITE,
    MATCHED,
    NOT_NULL,
    ORDERED,
    PRESENT,
    SINGLE,
    UNIQUE,
    UNIQUE_TOGETHER,
    Expectations,
    Violation,
    is_number,
    missing_hint,
    rows_breaking,
)
from include.retraining.exceptions import ConfigError

MAX_NAMED = 1_000


def check_contract(
    frame: pd.DataFrame,
    config: ModelConfig,
    code: ModelCode,
    *,
    run_date: date,
    earlier_rows: Sequence[int],
) -> tuple[str, ...]:
    """Check a delivery against its contract.

    Args:
        frame: all of it, with an index that counts from 0.
        config: the model's.
        code: the model's.
        run_date: the date of the data.
        earlier_rows: rows of earlier accepted deliveries.

    Returns:
        The rules that ran, by name.

    Raises:
        DataRejected: naming what is broken.
        ConfigError: when the contract itself cannot be applied.
    """
    expected = expectations(config, code, run_date=run_date, earlier_rows=earlier_rows)
    violations = find_violations(frame, expected)
    if violations:
        raise refused([str(violation) for violation in violations])
    return rule_names(expected)


def expectations(
    config: ModelConfig, code: ModelCode, *, run_date: date, earlier_rows: Sequence[int]
) -> Expectations:
    """Return what a delivery is checked against.

    Raises:
        ConfigError: when the contract is invalid, changes what it checks, or leaves a column that
            the model depends on unchecked.
    """
    where = f"include/models/{config.name}.py: Contract"
    try:
        schema = code.contract.to_schema()
    except Exception as error:
        raise ConfigError(f"{where}: is not valid: {type(error).__name__}: {error}") from error
    problems = list(forbidden_settings(schema))
    together = chain.from_iterable(unique_sets(schema))
    needed = dict.fromkeys((config.data.key, config.data.label, *code.features, *together))
    unchecked = [name for name in needed if not is_declared(schema, name)]
    if unchecked:
        problems.append(f"does not declare {', '.join(unchecked)}")
    if problems:
        raise ConfigError(f"{where}: {'; '.join(problems)}")
    return Expectations(config, schema, code.features, run_date, tuple(earlier_rows))


def forbidden_settings(schema: pa.DataFrameSchema) -> Iterator[str]:
    """Yield the settings that a contract may not have: they would change the data it checks."""
    changing = {
        "coerce": schema.coerce or any(column.coerce for column in schema.columns.values()),
        "strict = 'filter'": schema.strict == "filter",
        "drop_invalid_rows": schema.drop_invalid_rows,
        "add_missing_columns": schema.add_missing_columns,
        "an index": schema.index,
        "a parser": schema.parsers or any(column.parsers for column in schema.columns.values()),
    }
    for name, is_used in changing.items():
        if is_used:
            yield f"{name} is not allowed: training reads what was delivered"


def rule_names(expected: Expectations) -> tuple[str, ...]:
    """Return the name of every rule that is applied; of thousands of columns how many it is for."""
    schema, data = expected.schema, expected.config.data
    rules = [(name, PRESENT) for name in expected.columns]
    for name, column in schema.columns.items():
        rules += [(name, MATCHED)] if column.regex and column.required else []
        rules += [(name, f"type {column.dtype}")] if column.dtype else []
        rules += [(name, check_name(check)) for check in column.checks]
    rules += [(name, NOT_NULL) for name in _not_nullable(expected)]
    rules += [(name, UNIQUE) for name in _unique(expected)]
    names = _named(rules)
    names += [check_name(check) for check in schema.checks]
    names += [f"{' and '.join(columns)}: {UNIQUE_TOGETHER}" for columns in unique_sets(schema)]
    names += [f"columns: {ORDERED}"] if schema.ordered else []
    names += [f"numbers: {FINITE}", f"rows: at least {data.min_rows:,}", f"{data.label}: classes"]
    names += ["volume"] if data.volume and expected.earlier_rows else []
    names += ["label rate"] if data.label_rate else []
    names += ["freshness"] if data.freshness else []
    return tuple(names)


def _named(rules: list[tuple[str, str]]) -> list[str]:
    """Return each column with its rule, or of very many how many columns keep a rule."""
    if len(rules) <= MAX_NAMED:
        return [f"{name}: {rule}" for name, rule in rules]
    columns: dict[str, list[str]] = defaultdict(list)
    for name, rule in rules:
        columns[rule].append(name)
    return [
        f"{len(names):,} columns: {rule}" if len(names) > 1 else f"{names[0]}: {rule}"
        for rule, names in columns.items()
    ]


def find_violations(frame: pd.DataFrame, expected: Expectations) -> list[Violation]:
    """Return everything that a delivery breaks.

    Raises:
        ConfigError: when a check of the contract fails to run.
    """
    violations: list[Violation] = []
    twice = frame.columns.duplicated()
    violations += [
        Violation(str(name), DUPLICATE_COLUMN) for name in sorted(set(frame.columns[twice]))
    ]
    frame = frame.loc[:, ~twice] if twice.any() else frame
    unmatched = unmatched_patterns(expected.schema, frame.columns)
    violations += [Violation(pattern, MATCHED) for pattern in unmatched]
    expected = with_columns_of(expected, frame)
    violations += violated_columns(frame, expected)
    nested = nested_columns(frame, expected)
    violations += [Violation(name, SINGLE) for name in nested]
    frame = frame.drop(columns=nested) if nested else frame
    violations += _violated_rows(frame, expected)
    wrong = wrong_types(frame, expected.schema)
    violations += _violated_types(frame, expected, wrong)
    violations += _violated_checks(frame, expected, wrong)
    violations += violated_uniqueness(frame, expected)
    violations += violated_label(frame, expected)
    violations += violated_groups(frame, expected)
    violations += violated_volume(len(frame), expected)
    violations += violated_dates(frame, expected)
    return violations


def with_columns_of(expected: Expectations, frame: pd.DataFrame) -> Expectations:
    """Return the expectations with a column for each that a pattern of the contract stands for."""
    schema = copy.copy(expected.schema)
    schema.columns = declared_columns(schema, frame.columns)
    return replace(expected, schema=schema)


def _violated_rows(frame: pd.DataFrame, expected: Expectations) -> Iterator[Violation]:
    """Check missing, repeated and infinite values."""
    for name in columns_with_missing(frame, _not_nullable(expected)):
        yield rows_breaking(frame, expected, name, NOT_NULL, frame[name].isna().to_numpy())
    for name in _unique(expected):
        if name in frame.columns:
            # A missing key is reported once, as missing.
            repeated = (frame[name].duplicated() & frame[name].notna()).to_numpy()
            if repeated.any():
                yield rows_breaking(frame, expected, name, UNIQUE, repeated)
    for name, infinite in columns_with_infinite(frame):
        yield rows_breaking(frame, expected, name, FINITE, infinite)


def _violated_types(
    frame: pd.DataFrame, expected: Expectations, wrong: Sequence[str]
) -> Iterator[Violation]:
    for name in wrong:
        declared = expected.schema.columns[name].dtype
        rule = type_rule(declared, frame[name])
        not_number = np.zeros(len(frame), dtype=bool)
        if re.match(r"int|uint|float", str(declared)) and not is_number(frame[name]):
            numbers = pd.to_numeric(frame[name], errors="coerce")
            not_number = (numbers.isna() & frame[name].notna()).to_numpy(dtype=bool)
        if not_number.any():
            yield rows_breaking(frame, expected, name, rule, not_number)
        else:
            yield Violation(name, rule + type_hint(declared, frame[name]))


def _violated_checks(
    frame: pd.DataFrame, expected: Expectations, wrong: Sequence[str]
) -> Iterator[Violation]:
    """Run the contract's own checks on the columns that are there and have the right type."""
    schema = expected.schema
    unusable = {name for name in schema.columns if name not in frame.columns}
    unusable |= set(wrong)
    usable = {name: column for name, column in schema.columns.items() if name not in unusable}
    try:
        broken = list(broken_column_checks(frame, usable))
        if not unusable:  # a check on the whole frame may read any column
            broken += broken_frame_checks(frame, schema.checks)
    except ConfigError as error:
        where = f"include/models/{expected.config.name}.py: Contract"
        raise ConfigError(f"{where}: {error}") from error.__cause__
    for broken_check in broken:
        if broken_check.failing is None:
            yield Violation(broken_check.column, broken_check.rule)
        else:
            violation = rows_breaking(
                frame, expected, broken_check.column, broken_check.rule, broken_check.failing
            )
            if broken_check.column is not None:
                hint = missing_hint(frame.loc[broken_check.failing, broken_check.column])
                violation = replace(violation, hint=hint)
            yield violation


def _not_nullable(expected: Expectations) -> tuple[str, ...]:
    data = expected.config.data
    declared = [name for name, column in expected.schema.columns.items() if not column.nullable]
    return tuple(dict.fromkeys((data.key, data.label, *declared)))


def _unique(expected: Expectations) -> tuple[str, ...]:
    declared = [name for name, column in expected.schema.columns.items() if column.unique]
    return tuple(dict.fromkeys((expected.config.data.key, *declared)))
