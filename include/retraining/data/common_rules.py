"""The rules that every delivery must keep, besides its contract: label, volume, dates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd

from include.retraining.config.model import TimeSplit
from include.retraining.data.labels import is_class
from include.retraining.data.one_hot import RULE, membership
from include.retraining.data.split import times_or_missing
from include.retraining.data.violations import Expectations, Violation, is_number, rows_breaking


def violated_label(frame: pd.DataFrame, expected: Expectations) -> Iterator[Violation]:
    """Check that there is something to learn, and that the label's rate is a known one."""
    config, name = expected.config, expected.config.data.label
    if name not in frame.columns:
        return
    label = frame[name].dropna()
    classes = label.nunique()
    if config.problem == "regression":
        if not is_number(label):
            yield Violation(name, "must be a number")
        elif classes < 2:
            yield Violation(name, "has one value only: there is nothing to learn")
        return
    if classes < 2:
        yield Violation(name, "has one class only: there is nothing to learn")
    if config.problem != "binary" or classes == 0:
        return
    if classes > 2:
        yield Violation(name, f"has {classes:,} different values, a binary label has two")
    rate = float(is_class(label.to_numpy(), config.data.positive).mean())
    if rate == 0:
        yield Violation(name, f"no row has the positive value {config.data.positive!r}")
    limits = config.data.label_rate
    if limits and not limits.min <= rate <= limits.max:
        yield Violation(
            name,
            f"label rate: {rate:.4g} of the rows are positive, allowed are {limits.min:g} to "
            f"{limits.max:g}",
        )


def violated_groups(frame: pd.DataFrame, expected: Expectations) -> Iterator[Violation]:
    """Check that each `one_hot` column of a protected attribute says yes or no.

    Otherwise every row would be in one group, and no rule about groups could ever fail.
    """
    for attribute in expected.config.data.protected:
        for name in attribute.one_hot or ():
            if name in frame.columns:
                unclear = membership(frame[name], attribute.labels) < 0
                if unclear.any():  # without keys: they would say whose column holds what
                    yield Violation(name, RULE, int(unclear.sum()))


def violated_volume(rows: int, expected: Expectations) -> Iterator[Violation]:
    """Check the number of rows, by itself and against earlier deliveries."""
    data = expected.config.data
    if rows < data.min_rows:
        needed = f"at least {data.min_rows:,} are needed (data.min_rows)"
        yield Violation(None, f"rows: there are {rows:,}, {needed}")
    if not (data.volume and expected.earlier_rows):
        return
    usual = median(expected.earlier_rows)
    if not data.volume.min * usual <= rows <= data.volume.max * usual:
        yield Violation(
            None,
            f"volume: there are {rows:,} rows, {rows / usual:.2f} times the median of the last "
            f"{len(expected.earlier_rows)} deliveries ({usual:,.0f}); allowed are "
            f"{data.volume.min:g} to {data.volume.max:g} times",
        )


def violated_dates(frame: pd.DataFrame, expected: Expectations) -> Iterator[Violation]:
    """Check that dates are dates, not later than the run's, and that the newest is recent."""
    data = expected.config.data
    freshness = data.freshness
    columns = {freshness.column} if freshness else set()
    columns |= {data.split.column} if isinstance(data.split, TimeSplit) else set()
    parsed = {}
    for name in sorted(columns & set(frame.columns)):
        parsed[name] = times_or_missing(frame[name])
        unreadable = parsed[name].isna().to_numpy()
        if unreadable.any():
            rule = "must hold a date or time like 2026-11-24"
            yield rows_breaking(frame, expected, name, rule, unreadable)
    if freshness is None or freshness.column not in parsed:
        return
    times = parsed[freshness.column]
    end = _end_of(expected.run_date, expected.config.trigger.timezone, frame[freshness.column])
    future = (times >= end).to_numpy()
    if future.any():
        rule = f"freshness: dated after the run's date {expected.run_date}"
        yield rows_breaking(frame, expected, freshness.column, rule, future)
    age_days = (end - times.max()) / pd.Timedelta(days=1) - 1  # the run's own day is no age
    if age_days > freshness.max_age_days:
        yield Violation(
            freshness.column,
            f"freshness: stale data: the newest row is {age_days:.3g} days older than the run's "
            f"date {expected.run_date}, allowed are {freshness.max_age_days:g}",
        )


def _end_of(day: date, timezone: str, column: pd.Series[Any]) -> pd.Timestamp:
    """Return the moment a day ends, on the clock that a column's times are read on."""
    midnight = datetime.combine(day + timedelta(days=1), time())
    readable = column[times_or_missing(column).notna()].head(1)
    is_zoned = isinstance(pd.to_datetime(readable, format="ISO8601").dtype, pd.DatetimeTZDtype)
    zone = ZoneInfo(timezone if is_zoned else "UTC")  # without a zone: off the model's own clock
    return pd.Timestamp(midnight.replace(tzinfo=zone)).tz_convert("UTC")
