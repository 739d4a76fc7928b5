"""The columns of a delivery that moved most: as a table, and drawn."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from include.retraining.formatting.markdown import code, table
from include.retraining.formatting.numbers import number
from include.retraining.formatting.text import truncate
from include.retraining.model_card.plots import COLOURS, STYLE, Plot
from include.retraining.monitoring.drift import ColumnDrift, Drift

DRIFT_FILE = "drift.png"


def drift_table(drift: Drift) -> str:
    """Return the columns that moved most as a table in Markdown."""
    rows = [
        [
            code(moved.name),
            number(moved.movement, 2),
            number(moved.index, 2),
            "no numbers" if moved.distance is None else number(moved.distance, 2),
            f"{moved.missing_before:.1%} → {moved.missing:.1%}",
            "not known" if moved.new is None else f"{moved.new:.1%}",
            ", ".join(map(code, moved.vanished[:5])) or "none",
        ]
        for moved in drift.moved_most
    ]
    columns = (
        "Column",
        "Movement by limit",
        "Stability index",
        "Distance, standard deviations",
        "Missing",
        "New categories",
        "Vanished categories",
    )
    return table(columns, rows)


def draw_drift(drift: Drift) -> Plot:
    """Draw how the rows are spread over each of these columns, before and now."""
    shown = drift.moved_most
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.2, 1.9 * len(shown)), layout="constrained")
        for axes, moved in zip(np.atleast_1d(figure.subplots(len(shown))), shown, strict=True):
            _draw(axes, moved)
        figure.axes[0].legend(loc="upper right", ncols=2)
        buffer = BytesIO()
        figure.savefig(buffer, format="png")
    return Plot(
        "The columns that moved most",
        DRIFT_FILE,
        "Shares of rows by value: of the champion's training rows, and of this delivery.",
        buffer.getvalue(),
    )


def _draw(axes: Any, moved: ColumnDrift) -> None:
    places = np.arange(len(moved.bins))
    before = [part.before for part in moved.bins]
    now = [part.now for part in moved.bins]
    axes.bar(places - 0.2, before, width=0.38, color=COLOURS["champion"], label="training rows")
    axes.bar(places + 0.2, now, width=0.38, color=COLOURS["challenger"], label="this delivery")
    labels = [truncate(part.label, 16) for part in moved.bins]
    axes.set_xticks(places, labels, rotation=30, ha="right", fontsize=7)
    axes.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    axes.set_title(truncate(moved.name, 60))
    axes.grid(True, axis="y")
