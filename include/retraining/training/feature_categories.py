"""The categories that features had in training, as a version's manifest names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.retraining.documents import Document

if TYPE_CHECKING:
    import pandas as pd

MAX_CATEGORIES = 10_000
"""How many categories of a feature a manifest names: each reader of the version reads it."""


class Categories(Document):
    """The categories of a feature in training."""

    values: tuple[int | str, ...]
    """In the order of their codes."""
    ordered: bool
    """Whether that order has a meaning."""


def categories_of(rows: pd.DataFrame) -> dict[str, Categories]:
    """Return the categories of the columns that have some; not of values that JSON would change."""
    import pandas as pd  # on demand: light tasks read manifests

    by_name = {}
    for name, dtype in rows.dtypes.items():
        if not isinstance(dtype, pd.CategoricalDtype) or len(dtype.categories) > MAX_CATEGORIES:
            continue
        values = dtype.categories.tolist()
        if {type(value) for value in values} in ({int}, {str}):
            by_name[str(name)] = Categories(values=tuple(values), ordered=bool(dtype.ordered))
    return by_name
