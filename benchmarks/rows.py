"""The Python file of the large benchmark's model."""

from __future__ import annotations

import pandera.pandas as pa
from sklearn.ensemble import HistGradientBoostingClassifier

FEATURES = tuple(f"x{number:02d}" for number in range(18))


class _Promises(pa.DataFrameModel):
    row_id: int = pa.Field(ge=0, unique=True)
    label: int = pa.Field(isin=[0, 1])

    class Config:
        coerce = False
        strict = False


# Eighteen columns of one kind: a contract can be built like any class.
Contract = type(
    "Contract",
    (_Promises,),
    {
        "__annotations__": dict.fromkeys(FEATURES, float),
        "__module__": __name__,
        **{name: pa.Field(ge=-100, le=100) for name in FEATURES},
    },
)


def build_estimator(seed: int) -> HistGradientBoostingClassifier:
    """Return an unfitted gradient boosting of exactly 100 iterations."""
    return HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=seed)
