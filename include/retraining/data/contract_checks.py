"""Running the checks that a contract's author wrote.

pandera needs a quarter of a millisecond for each check of each column, however few its rows. A
check of pandera's own that many columns have in common (`ge=0` of a thousand genes) is therefore
run once on all of them, one below the other.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pandera.pandas as pa
from pandas.api.extensions import ExtensionDtype

from include.retraining.data.arrays import RowMask
from include.retraining.exceptions import ConfigError
from include.retraining.formatting.text import truncate
from include.retraining.runs.foreign_errors import IN_THE_LOG, kind_and_place

BLOCK_CELLS = 1_000_000
# Checks of pandera that judge each value by itself.
EACH_VALUE = frozenset({
    "equal_to",
    "not_equal_to",
    "greater_than",
    "greater_than_or_equal_to",
    "less_than",
    "less_than_or_equal_to",
    "in_range",
    "isin",
    "notin",
})

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BrokenCheck:
    """A check of the contract that some rows do not pass."""

    column: str | None
    """None for a check on the whole frame."""
    rule: str
    failing: RowMask | None
    """Which rows; None where the check does not say."""


def broken_column_checks(
    frame: pd.DataFrame, columns: Mapping[str, pa.Column]
) -> Iterator[BrokenCheck]:
    """Run the checks of some columns.

    Args:
        frame: with these columns, and an index that counts from 0.
        columns: as declared.

    Raises:
        ConfigError: when a check crashes.
    """
    alike: dict[tuple[Hashable, ...], list[tuple[str, pa.Check]]] = defaultdict(list)
    dtypes = dict(zip(frame.columns, frame.dtypes, strict=True))
    for name, column in columns.items():
        for check in column.checks:
            alike[_likeness(dtypes[name], check) or (name, id(check))].append((name, check))
    for likeness, members in alike.items():
        if len(members) == 1 or len(likeness) == 2:
            for name, check in members:
                yield from _broken(frame, name, check)
            continue
        checks = dict(members)
        for names, cells in blocks(frame, list(checks)):
            check = checks[names[0]]
            broken = list(_broken(pd.DataFrame({"": cells.ravel(order="F")}), "", check))
            for broken_check in broken:
                yield from _by_column(broken_check, names, len(frame), check_name(check))


def broken_frame_checks(frame: pd.DataFrame, checks: Sequence[pa.Check]) -> Iterator[BrokenCheck]:
    """Run the checks that read several columns.

    Raises:
        ConfigError: when a check crashes.
    """
    for check in checks:
        yield from _broken(frame, None, check)


def check_name(check: pa.Check) -> str:
    """Return the rule of a check; its numbers come from the contract, never from the data."""
    text = getattr(check, "error", None) or getattr(check, "name", None) or str(check)
    return truncate(str(text), 120)


def blocks(
    frame: pd.DataFrame, names: Sequence[str]
) -> Iterator[tuple[Sequence[str], npt.NDArray[Any]]]:
    """Yield columns of one plain type side by side: many short ones at once, a long one alone.

    Each with its cells, (rows, columns).
    """
    step = max(1, BLOCK_CELLS // max(1, len(frame)))
    for start in range(0, len(names), step):
        some = names[start : start + step]
        if len(some) == 1:
            yield some, frame[some[0]].to_numpy().reshape(-1, 1)
        else:
            yield some, frame[list(some)].to_numpy()


def _likeness(
    dtype: np.dtype[Any] | ExtensionDtype, check: pa.Check
) -> tuple[Hashable, ...] | None:
    """Return what two checks of two columns share that can be run at once, or None."""
    is_plain = isinstance(dtype, np.dtype) and dtype.kind in "iufb"
    if not is_plain or check.groupby is not None or check.element_wise:
        return None
    if check.registry_name not in EACH_VALUE:
        return None
    return dtype, check.registry_name, repr(check.statistics), check.ignore_na, check.raise_warning


def _broken(frame: pd.DataFrame, column: str | None, check: pa.Check) -> Iterator[BrokenCheck]:
    """Run one check as pandera does."""
    rule = check_name(check)
    try:
        result = check(frame, column)
        output = result.check_output
        if isinstance(output, pd.DataFrame):
            output = output.all(axis="columns")
        is_by_row = isinstance(output, pd.Series) and output.index.equals(
            result.checked_object.index if hasattr(result.checked_object, "index") else pd.Index([])
        )
        passed = bool(np.all(result.check_passed))
    except MemoryError:
        raise
    except Exception as error:
        of = "" if column is None else f" of {column}"
        cause = f"{kind_and_place(error)}; {IN_THE_LOG}"
        raise ConfigError(f"the check {rule!r}{of} crashed: {cause}") from error
    if passed:
        return
    if check.raise_warning:
        log.warning("the contract's check %r of %s is broken: it only warns", rule, column)
        return
    failing = None
    if is_by_row:
        failing = np.zeros(len(frame), dtype=bool)
        failing[output.index[~output.to_numpy(dtype=bool)]] = True
    yield BrokenCheck(column, rule, failing)


def _by_column(
    broken_check: BrokenCheck, names: Sequence[str], rows: int, rule: str
) -> Iterator[BrokenCheck]:
    """Divide what was found in columns one below the other."""
    assert broken_check.failing is not None  # noqa: S101 these checks judge each value
    for number, name in enumerate(names):
        failing = broken_check.failing[number * rows : (number + 1) * rows]
        if failing.any():
            yield BrokenCheck(name, rule, failing)
