"""Which values a fitted estimator was not trained on, counted by column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from include.retraining.scoring.unknown import count_unknown

TRAINED = pd.DataFrame({
    "number": [1.0, 2.0, 3.0],
    "city": ["ulm", "bonn", "ulm"],
    "kind": [1, 2, 3],
})
ROWS = pd.DataFrame({
    "number": [9.0, 9.0, 9.0, 9.0],
    "city": ["ulm", "mainz", None, "mainz"],
    "kind": [1, 2, 4, 3],
})
ENCODER = OneHotEncoder(handle_unknown="ignore")


def fitted(*parts: Any, remainder: str = "passthrough") -> Any:
    """A pipeline that encodes some columns and then predicts."""
    named = [(str(at), *part) for at, part in enumerate(parts)]
    prepare = ColumnTransformer(named, remainder=remainder)
    return make_pipeline(prepare, DummyClassifier()).fit(TRAINED, [0, 1, 0])


@pytest.mark.parametrize(
    "columns",
    [
        ["city", "kind"],
        [1, 2],
        slice(1, 3),
        np.array([False, True, True]),
        lambda frame: ["city", "kind"],
    ],
    ids=["names", "places", "slice", "mask", "function"],
)
def test_columns_are_found_however_they_are_chosen(columns: Any):
    """Values beyond the known categories are counted; a missing one is not a value."""
    estimator = fitted((ENCODER, columns), (StandardScaler(), ["number"]), remainder="drop")
    assert count_unknown(estimator, ROWS) == {"city": 2, "kind": 1}


def test_an_encoder_behind_an_imputer_is_found():
    """What fills missing cells keeps the others, so the encoder behind it knows the column."""
    filled = make_pipeline(SimpleImputer(strategy="most_frequent"), OrdinalEncoder())
    assert count_unknown(fitted((filled, ["city"]), remainder="drop"), ROWS) == {"city": 2}


def test_one_column_is_chosen_by_its_name_alone():
    """A transformer of one column is given that."""
    coded = fitted((ENCODER, ["kind"]), remainder="drop")
    assert count_unknown(coded, ROWS) == {"kind": 1}


def test_of_values_that_were_changed_before_nothing_is_known():
    """An encoder behind a scaler has seen other values than those of the column."""
    scaled = make_pipeline(StandardScaler(), OrdinalEncoder())
    assert count_unknown(fitted((scaled, ["kind"]), remainder="drop"), ROWS) == {}


def test_an_estimator_without_categories_knows_of_none():
    """Nothing is counted where nothing is known, as of a model in another language."""
    assert count_unknown(DummyClassifier().fit(TRAINED, [0, 1, 0]), ROWS) == {}
    assert count_unknown(object(), ROWS) == {}
