"""Which values of a column a fitted estimator was not trained on.

An encoder of categories remembers those that it saw (`categories_`, beside `feature_names_in_`).
What it gives any other is not an error but hardly a prediction either, so such rows are counted.
A model in another language, or one that takes categories apart by itself, does not say.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from include.retraining.data.labels import class_names


def count_unknown(estimator: Any, rows: pd.DataFrame) -> dict[str, int]:
    """Return by column how many rows hold a value that no encoder of that column was trained on.

    Missing cells are not counted.

    Args:
        estimator: fitted; a pipeline, a transformer of columns, or anything else.
        rows: its features.

    Returns:
        The columns whose categories the estimator knows, those without unknown values too.
    """
    counts: dict[str, int] = {}
    for name, categories in _known_categories(estimator, tuple(rows.columns)):
        if name in rows.columns:
            cells = rows[name]
            codes, different = pd.factorize(cells.to_numpy(dtype=object), use_na_sentinel=True)
            known = set(class_names(categories))
            is_unknown = np.array([one not in known for one in class_names(different)], dtype=bool)
            unknown = int(is_unknown[codes[codes >= 0]].sum())
            counts[name] = max(unknown, counts.get(name, 0))
    return counts


def _known_categories(fitted: Any, inputs: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Yield each column that an encoder reads as it was delivered, and the categories it knows."""
    names = tuple(str(name) for name in getattr(fitted, "feature_names_in_", inputs))
    categories = getattr(fitted, "categories_", None)
    if categories is not None and len(categories) == len(names):
        yield from zip(names, categories, strict=True)
    elif hasattr(fitted, "transformers_"):
        for _, part, columns in fitted.transformers_:
            chosen = _chosen(columns, names)
            if chosen and not isinstance(part, str):
                yield from _known_categories(part, chosen)
    elif hasattr(fitted, "steps"):
        for _, step in fitted.steps:
            if step is not None and not isinstance(step, str):
                yield from _known_categories(step, names)
            if not _keeps_values(step):
                return


def _keeps_values(step: Any) -> bool:
    """Return whether what follows a step sees the same columns with the same values."""
    return step is None or step == "passthrough" or type(step).__name__ == "SimpleImputer"


def _chosen(columns: Any, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the columns that a part of a `ColumnTransformer` reads."""
    if isinstance(columns, str):
        return (columns,)
    if isinstance(columns, slice):
        return names[columns] if not isinstance(columns.start, str) else ()
    chosen = np.asarray(columns)
    if chosen.dtype.kind == "b":
        chosen = np.flatnonzero(chosen)
    if chosen.dtype.kind in "iu":
        return tuple(names[int(at)] for at in np.atleast_1d(chosen))
    return tuple(str(name) for name in np.atleast_1d(chosen))
