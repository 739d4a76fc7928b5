"""Diabetes progression: the data contract, the features and the estimator.

The data are scikit-learn's `load_diabetes`, unscaled: 442 patients, ten measurements, one row each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandera.pandas as pa

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

FEATURES = ("age", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")


class Contract(pa.DataFrameModel):
    """What the producer promises: these columns, no others."""

    patient_id: int = pa.Field(ge=0, unique=True)
    progression: float = pa.Field(gt=0, le=1000)

    age: float = pa.Field(ge=0, le=120)
    sex: float = pa.Field(isin=[1, 2])
    bmi: float = pa.Field(ge=10, le=80)
    bp: float = pa.Field(ge=30, le=250)
    s1: float = pa.Field(gt=0, le=1000)
    s2: float = pa.Field(gt=0, le=1000)
    s3: float = pa.Field(gt=0, le=500)
    s4: float = pa.Field(gt=0, le=50)
    s5: float = pa.Field(gt=0, le=20)
    s6: float = pa.Field(gt=0, le=1000)

    class Config:
        """How the contract is applied."""

        coerce = False
        strict = True


def build_estimator(seed: int) -> Pipeline:  # noqa: ARG001 every entry point takes the seed
    """Return an unfitted ridge regression on scaled columns; it has no randomness of its own."""
    # Imported here, because checking the data needs no scikit-learn and loading it takes seconds.
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), RidgeCV(alphas=(0.1, 1.0, 10.0, 100.0)))
