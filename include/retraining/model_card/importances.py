"""The permutation importances of a card: a table, and what there is to say beside it."""

from __future__ import annotations

import math

from include.retraining.formatting.markdown import NOTHING, code, escaped, table
from include.retraining.formatting.numbers import metric_name
from include.retraining.gate.importance import ColumnImportance, Importances, Loss
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


def read_importances(store: Store, paths: RunPaths, report_digest: str) -> Importances | None:
    """Return what was measured beside a report.

    None for an evaluation of before they were measured, and where they are of another attempt's
    report.

    Raises:
        EvidenceError: when they cannot be read.
    """
    data = store.read_if_present(paths.importances)
    if data is None:
        return None
    stored = Importances.from_bytes(data, where=paths.importances)
    return stored if stored.report_digest == report_digest else None


def importances_table(stored: Importances) -> str:
    """Return the columns by what the score loses without them; nothing when none was measured."""
    if not stored.columns:
        return ""
    compares = any(one.change is not None for one in stored.columns)
    names = ["Column", "Challenger", "95 % interval"]
    names += ["Champion", "Change", "95 % interval of the change"] if compares else []
    decimals = _decimals(stored.columns)
    rows = []
    for one in stored.columns:
        row = [code(one.column), *_cells(one.challenger, decimals)]
        if compares:
            row += [_cells(one.champion, decimals)[0], *_cells(one.change, decimals)]
        rows.append(row)
    return table(names, rows)


def importance_lines(stored: Importances) -> list[str]:
    """Return what was measured how, what changed, and why something is missing, as Markdown."""
    if stored.not_measured:
        return [f"Not measured: {escaped(stored.not_measured)}."]
    shown = len(stored.columns)
    which = f"the {shown} of {stored.columns_read:,} columns that move the predictions most"
    if shown == stored.columns_read:
        which = f"all {shown} columns" if shown > 1 else "its only column"
    times = "one shuffle" if stored.repeats == 1 else f"{stored.repeats} shuffles"
    what = (
        f"How much worse {metric_name(stored.metric or '')} gets when the values of a column come "
        f"from other rows, for {which}: {times} of each on {stored.rows:,} rows of the holdout."
    )
    lines = [what]
    if stored.champion_not_measured:
        lines.append(f"Of the champion, not measured: {escaped(stored.champion_not_measured)}.")
    elif any(one.change for one in stored.columns):
        lines.append(_changes(stored.columns))
    return lines


def _decimals(columns: tuple[ColumnImportance, ...]) -> int:
    """Return the decimals that show the greatest loss with three digits: the rest is noise."""
    losses = (loss for one in columns for loss in (one.challenger, one.champion) if loss)
    greatest = max((abs(loss.value) for loss in losses), default=0.0)
    return max(0, 2 - math.floor(math.log10(greatest))) if greatest else 0


def _cells(loss: Loss | None, decimals: int) -> tuple[str, str]:
    if loss is None:
        return NOTHING, NOTHING
    value, lower, upper = (
        f"{round(each, decimals) + 0.0:+,.{decimals}f}"  # + 0.0: no negative zero
        for each in (loss.value, loss.lower, loss.upper)
    )
    return value, f"{lower} to {upper}"


def _changes(columns: tuple[ColumnImportance, ...]) -> str:
    """Return which columns are worth more or less than to the champion, beyond the interval."""
    more = [one.column for one in columns if one.change and one.change.lower > 0]
    less = [one.column for one in columns if one.change and one.change.upper < 0]
    said = [
        f"{words} comes from {', '.join(code(name) for name in names)}"
        for words, names in (("more", more), ("less", less))
        if names
    ]
    if not said:
        return "Against the champion, no column's importance changed beyond its interval."
    return f"Of the challenger's score, {' and '.join(said)} than of the champion's."
