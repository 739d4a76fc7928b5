"""What the arrays are that travel between data, training and evaluation: their shapes and dtypes.

An alias says what a dtype alone does not. Where the dtype depends on the problem or on the
delivery, it is `Any`, and which ones there are is said here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RowMask = NDArray[np.bool_]
"""(rows,): which rows."""

Labels = NDArray[Any]
"""(rows,): int64 for classes that are whole numbers, object for words, float64 for a regression; as
`label_values` returns them."""

Targets = NDArray[Any]
"""(rows,): labels or predicted values as metrics take them: int8 with 1 for the positive class of a
binary problem, int64 positions in a list of classes, float64 for a regression."""

Column = NDArray[Any]
"""(rows,): the cells of any column, with the dtype in which they were read."""

Names = NDArray[np.object_]
"""(rows,): a word for each row."""

Positions = NDArray[np.intp]
"""(rows,): places in another array or list; -1 where there is none."""

Numbers = NDArray[np.float64]
"""A float64 for each row or class, (rows,) or (classes,)."""

Probabilities = NDArray[np.floating]
"""(rows, classes) with a column for each class; (rows,) where only those of the positive class are
kept. Float64, or float32 where a model gives that."""
