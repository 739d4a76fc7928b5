"""Some rows of a delivery, gathered column by column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from include.retraining.data.arrays import Column, RowMask


class KeptRows:
    """The rows of a mask as a frame, which never exists beside a copy of itself.

    Where all columns are floats of one type, they lie in one block of memory, which a library takes
    as a matrix without copying it.
    """

    def __init__(self, mask: RowMask, columns: int) -> None:
        """Gather so many columns of the rows in the mask."""
        self._rows = np.flatnonzero(mask)
        self._columns = columns
        self._kept: dict[str, Column | pd.Series[Any]] = {}
        self._block: Column | None = None

    def add(self, column: pd.Series[Any]) -> None:
        """Keep the rows of the next column, which has all rows and an index that counts from 0."""
        name, dtype = str(column.name), column.dtype
        if not (isinstance(dtype, np.dtype) and dtype.kind == "f"):
            self._kept[name] = column.take(self._rows)
            return
        if self._block is None:
            # Memory is taken when it is written to: the block may have room for columns that are
            # no floats.
            shape = self._columns, len(self._rows)
            self._block = np.empty(shape, dtype=dtype)
        if dtype == self._block.dtype:
            into = self._block[len(self._kept)]
            self._kept[name] = np.take(column.to_numpy(), self._rows, out=into)
        else:
            self._kept[name] = column.to_numpy()[self._rows]

    def frame(self) -> pd.DataFrame:
        """Return the rows, with the index that they have in the delivery."""
        index = pd.Index(self._rows)
        block = self._block
        if block is not None and all(
            isinstance(kept, np.ndarray) and kept.base is block for kept in self._kept.values()
        ):
            return pd.DataFrame(block.T, columns=list(self._kept), index=index, copy=False)
        return pd.DataFrame(self._kept, index=index, copy=False)
