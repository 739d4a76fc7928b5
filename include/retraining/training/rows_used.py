"""Which rows a version was trained and scored on, as sketches: has it seen a later holdout?

Two things give that away, and neither is ever true of new data or of a key that stays as it is:

- A key of the holdout is among the keys it was trained on. A split by key puts a key on the same
  side in every delivery, so that sides were swapped: the keys are read, or hashed, in another way.
- Rows of the holdout with the same features and label were in its training part, under other keys,
  far more of them than rows are alike by chance: the keys were rewritten. How many are alike by
  chance, its own holdout told when it was trained.

Data that are new each month share neither, and data of few different rows are not judged by the
second. Of a split by time, a row moves from the holdout to the training part as it ages: its dates
say what a version has seen.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from include.retraining.data.key_sketch import (
    KeySketch,
    distinct,
    overlap,
    sketch_hashes,
    sketch_keys,
)
from include.retraining.documents import Document

# As in key_sketch.py: reading a version's manifest costs no import of numpy.
if TYPE_CHECKING:
    import pandas as pd

    from include.retraining.data.arrays import Labels, RowMask
    from include.retraining.data.key_sketch import Hashes

CHUNK_ROWS = 32_768
"""What is computed of so many rows fits into a processor's cache."""
GOLDEN = 0x9E3779B97F4A7C15
"""Added before each mixing, as SplitMix64 does, so that a cell of zeros counts."""
MANY_ALIKE = 0.5
"""Where more rows than this are alike by chance, nothing follows from rows that are alike."""
SEEN = 0.2
"""The share of the holdout that was seen, beyond chance, above which a score means nothing."""


class RowsUsed(Document):
    """Sketches of the rows of a version's training part and holdout."""

    training_keys: KeySketch
    holdout_keys: KeySketch
    training_rows: KeySketch
    """Of the rows' content: features and label, without the key."""
    alike: Annotated[float, Field(ge=0, le=1)]
    """The share of different rows of the holdout that the training part has as well."""


def rows_used(
    keys: pd.Series[Any], content: Hashes, mask: RowMask, *, training: RowMask | None = None
) -> RowsUsed:
    """Return the sketches of a delivery.

    Args:
        keys: of its rows.
        content: a hash of each row's features and label, as `ContentHashes` makes them.
        mask: which of the rows are the holdout.
        training: which of them were fitted to; None: all others.
    """
    fitted = ~mask if training is None else training
    trained, holdout = distinct(content[fitted]), distinct(content[mask])
    return RowsUsed(
        training_keys=sketch_keys(keys[fitted]),
        holdout_keys=sketch_keys(keys[mask]),
        training_rows=sketch_hashes(trained),
        alike=float(_are_in(trained, holdout).mean()),
    )


def has_seen(
    used: RowsUsed, keys: pd.Series[Any], features: pd.DataFrame, labels: Labels
) -> str | None:
    """Return why a version must have seen rows of a holdout, or None.

    Args:
        used: what it was trained on.
        keys: of the holdout.
        features: of the holdout, those that the version reads, in its order.
        labels: of the holdout.
    """
    same = overlap(sketch_keys(keys), used.training_keys)
    if same.found:
        return (
            f"it was trained on keys of this holdout ({same.found:,} of {same.looked_up:,} looked "
            "up): the keys are read or written in another way than before, and sides were swapped"
        )
    if used.alike > MANY_ALIKE:
        return None
    rows = overlap(sketch_hashes(content_hashes(features, labels)), used.training_rows)
    share = rows.share
    if share is None:
        return None
    doubt = 3 * math.sqrt(share * (1 - share) / rows.looked_up)
    if share - doubt <= used.alike + SEEN * (1 - used.alike):
        return None
    return (
        f"it was trained on about {share:.0%} of this holdout's rows, under other keys: the keys "
        "were rewritten, so that rows changed sides"
    )


def content_hashes(features: pd.DataFrame, labels: Labels) -> Hashes:
    """Return a 64-bit hash of each row's cells, whichever file format they were read from."""
    hashes = ContentHashes(len(features))
    for name in features.columns:
        hashes.add(features[name])
    return hashes.finished(labels)


class ContentHashes:
    """A 64-bit hash of each row's cells, made column by column."""

    def __init__(self, rows: int) -> None:
        """Begin with no column."""
        import numpy as np

        self._hashes = np.zeros(rows, dtype=np.uint64)

    def add(self, column: pd.Series[Any]) -> None:
        """Add the next feature, with all rows."""
        from include.retraining.data.split import mix

        hashes = self._hashes
        for start in range(0, len(hashes), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            hashes[part] = mix(mix(hashes[part] + GOLDEN) ^ _cell_numbers(column.iloc[part]))

    def finished(self, labels: Labels) -> Hashes:
        """Add the labels, and return the hashes."""
        import pandas as pd

        self.add(pd.Series(labels))
        return self._hashes


def _cell_numbers(column: pd.Series[Any]) -> Hashes:
    """Return a 64-bit number for each cell: equal where the cells are."""
    import numpy as np
    import pandas as pd

    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan) + 0.0  # -0.0 is 0.0
        numbers[np.isnan(numbers)] = np.nan  # there are many
        return numbers.view(np.uint64)
    codes, values = pd.factorize(column)
    words = np.array([*map(str, values), ""], dtype=object)
    hashes = pd.util.hash_array(words, categorize=False)
    return np.asarray(hashes[codes], dtype=np.uint64)


def _are_in(some: Hashes, others: Hashes) -> RowMask:
    """Return which of the others are among some, both ascending."""
    import numpy as np

    places = np.minimum(np.searchsorted(some, others), len(some) - 1)
    return np.asarray(some[places] == others, dtype=np.bool_)
