"""The periods before the holdout, on which a recipe is judged as it walks forward through time.

Each is as long as the holdout and ends where the next one begins. What is fitted for one sees only
rows from before it, less the gap: as the final model sees only rows from before the holdout (L. J.
Tashman, "Out-of-sample tests of forecasting accuracy", International Journal of Forecasting 16,
2000).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from include.retraining.config.model import ModelConfig, TimeSplit
from include.retraining.data.arrays import RowMask
from include.retraining.data.split import newest_cut, times
from include.retraining.exceptions import DataRejected


@dataclass(frozen=True)
class TimeWindow:
    """One period before the holdout."""

    after: datetime
    """Its rows are younger than this."""
    until: datetime
    """And no younger than this."""
    rows: RowMask
    """Which rows of the delivery are in it."""
    training: RowMask
    """Which are fitted to for it."""


def earlier_windows(
    frame: pd.DataFrame, older: RowMask, config: ModelConfig
) -> tuple[TimeWindow, ...]:
    """Return the periods before the holdout, the newest first; none without `data.split.windows`.

    Args:
        frame: the whole delivery; it needs the column that the split goes by.
        older: which rows count: none of the holdout, none that are to be forgotten.
        config: the model's.

    Raises:
        DataRejected: when one has no rows or none to fit to, or a row's time cannot be read.
    """
    split = config.data.split
    if not isinstance(split, TimeSplit) or split.windows == 1:
        return ()
    when = times(frame[split.column])
    windows = []
    for number in range(1, split.windows):
        until, after = newest_cut(when, split, number), newest_cut(when, split, number + 1)
        rows = older & ((when > after) & (when <= until)).to_numpy(dtype=bool)
        fitted_to = when <= after - pd.Timedelta(days=split.gap_days)
        training = older & fitted_to.to_numpy(dtype=bool)
        for what, mask in (("has no rows", rows), ("has no rows to fit to before it", training)):
            if not mask.any():
                raise DataRejected(
                    f"data.split.windows: the period after {after:%Y-%m-%d %H:%M} {what}: fewer "
                    f"windows than {split.windows}, or more rows"
                )
        windows.append(
            TimeWindow(
                after=after.to_pydatetime(warn=False),
                until=until.to_pydatetime(warn=False),
                rows=rows,
                training=training,
            )
        )
    return tuple(windows)
