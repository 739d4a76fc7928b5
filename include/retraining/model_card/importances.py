"""The permutation importances of a card: a table, and what there is to say beside it."""

from __future__ import annotations

from include.retraining.formatting.markdown import NOTHING, code, escaped, table
from include.retraining.formatting.numbers import metric_name, signed
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
    names += ["Champion", "Change", "95 % interval"] if compares else []
    rows = []
    for one in stored.columns:
        row = [code(one.column), *_cells(one.challenger)]
        if compares:
            row += [_cells(one.champion)[0], *_cells(one.change)]
        rows.append(row)
    return table(names, rows)


def importance_lines(stored: Importances) -> list[str]:
    """Return what was measured how, what changed, and why something is missing, as Markdown."""
    if stored.not_measured:
        return [f"Not measured: {escaped(stored.not_measured)}."]
    times = "once" if stored.repeats == 1 else f"{stored.repeats} times"
    what = (
        f"How much worse {metric_name(stored.metric or '')} gets when the values of a column come "
        f"from other rows, for the {len(stored.columns)} of {stored.columns_read:,} columns that "
        f"move the predictions most, on {stored.rows:,} rows of the holdout, {times} each."
    )
    lines = [what]
    if stored.champion_not_measured:
        lines.append(f"Of the champion, not measured: {escaped(stored.champion_not_measured)}.")
    elif any(one.change for one in stored.columns):
        lines.append(_changes(stored.columns))
    return lines


def _cells(loss: Loss | None) -> tuple[str, str]:
    if loss is None:
        return NOTHING, NOTHING
    return signed(loss.value), f"{signed(loss.lower)} to {signed(loss.upper)}"


def _changes(columns: tuple[ColumnImportance, ...]) -> str:
    """Return which columns are worth more or less than to the champion, beyond the interval."""
    more = [one.column for one in columns if one.change and one.change.lower > 0]
    less = [one.column for one in columns if one.change and one.change.upper < 0]
    said = [
        f"{words} on {', '.join(code(name) for name in names)}"
        for words, names in (("more", more), ("less", less))
        if names
    ]
    if not said:
        return "Against the champion, no column's importance changed beyond its interval."
    return f"Against the champion, the challenger relies {' and '.join(said)}."
