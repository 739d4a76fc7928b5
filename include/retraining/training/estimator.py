"""What is asked of a model, in Python or in another language. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from include.retraining.data.arrays import Labels


class Estimator(Protocol):
    """A fitted model: an estimator of scikit-learn's kind, or an `ExternalModel`."""

    def predict(self, rows: pd.DataFrame, /) -> Labels:
        """Return the predicted class or number of each row, (rows,)."""
        ...


class Classifier(Estimator, Protocol):
    """An estimator that knows its classes."""

    classes_: Iterable[int | float | str | np.generic]
    """In the order of its probabilities."""
