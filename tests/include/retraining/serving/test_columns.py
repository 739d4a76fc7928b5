"""Which columns a version takes, and what is said of those that it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.retraining.data.column_types import type_name
from include.retraining.exceptions import DataRejected
from include.retraining.registry.versions import VersionManifest
from include.retraining.serving.columns import checked_features
from include.retraining.store.object_store import Store
from include.retraining.training.feature_categories import Categories
from tests.support.run_factory import plant_version

DAY = pd.Timestamp("2026-11-24")
UTC_DAY = pd.Timestamp("2026-11-24", tz="UTC")


@pytest.fixture
def manifest(folder: Store) -> VersionManifest:
    """The manifest of a version."""
    return plant_version(folder)


def reading(manifest: VersionManifest, **types: str) -> VersionManifest:
    """The manifest of a version that was trained on columns of these types."""
    changes = {"features": tuple(types), "feature_types": tuple(types.values())}
    return manifest.model_copy(update=changes)


@pytest.mark.parametrize(
    ("trained", "given"),
    [
        ("float64", [1.5, None]),
        ("float64", [1, 2]),
        ("float64", [None, None]),
        ("float64", pd.Series([1, 2], dtype="int8")),
        ("float64", pd.Series([1.5, None], dtype=object)),
        ("float64", pd.Series([1.5, 2], dtype="float32")),
        ("float32", pd.Series([1.5, 2], dtype="float32")),
        ("int64", [1, 2]),
        ("int64", pd.Series([1, 2], dtype="uint8")),
        ("int64", pd.Series([1, 2], dtype="Int64")),
        ("int64", pd.Series([1, 2], dtype=object)),
        ("int8", [1, -2]),
        ("Int64", [1, 2]),
        ("Int64", pd.Series([1, None], dtype=object)),
        ("Int64", [1.0, None]),
        ("Int8", [1.0, None]),
        ("bool", [True, False]),
        ("boolean", [True, False]),
        ("str", ["a", "b"]),
        ("str", pd.Series(["a", None], dtype=object)),
        ("str", pd.Series(["a", "b"], dtype="string")),
        ("str", pd.Series(["a", "b"], dtype="category")),
        ("category[str]", ["a", None]),
        ("category[str]", pd.Series(["a", "b"], dtype="category")),
        ("category[int64]", [1, 2]),
        ("datetime64[us]", pd.Series([DAY, None]).astype("datetime64[ns]")),
        ("datetime64[ns]", pd.Series([DAY, None]).astype("datetime64[s]")),
        ("datetime64[us, UTC]", pd.Series([UTC_DAY, None]).astype("datetime64[ns, UTC]")),
        ("object", [True, None]),
        ("object", ["a", 1]),
    ],
)
def test_a_column_becomes_what_it_was_in_training(
    manifest: VersionManifest, trained: str, given: Any
) -> None:
    """Where nothing is lost by that, it is of the type of the training, cell by cell the same."""
    frame = pd.DataFrame({"other": "x", "a": pd.Series(given)}, index=[5, 6])
    frame["a"] = pd.Series(given).to_numpy() if isinstance(given, list) else given.array
    (column,) = checked_features(frame, reading(manifest, a=trained)).items()
    assert column[0] == "a"
    assert column[1].index.tolist() == [5, 6]
    actual = type_name(column[1].dtype)
    if trained.startswith("datetime64"):
        assert actual.split("[")[0] == "datetime64"
    elif trained != "object":
        assert actual == trained
    same = [
        (pd.isna(one) and pd.isna(other)) or one == other
        for one, other in zip(column[1], frame["a"], strict=True)
    ]
    assert all(same)


@pytest.mark.fault("V04")
@pytest.mark.parametrize(
    ("trained", "given", "said"),
    [
        ("float64", ["1", "2"], "is of type str, allowed is float or what becomes it without"),
        ("float64", [2**53 + 1, 1], "is of type int, allowed is float"),
        ("float64", [True, False], "is of type bool, allowed is float"),
        (
            "float64",
            [None, 1, "a", True, "b"],
            (
                "is of type object, allowed is float or what becomes it without a loss: cells "
                "that are no float: 3 of 5, the first in row 3"
            ),
        ),
        (
            "str",
            ["a", None, 1],
            (
                "is of type object, allowed is str or what becomes it without a "
                "loss: cells that are no str: 1 of 3, the first in row 3"
            ),
        ),
        (
            "int64",
            [1, 2.5, "a"],
            (
                "is of type object, allowed is int or what becomes it without a "
                "loss: cells that are no int: 2 of 3, the first in row 2"
            ),
        ),
        ("datetime64[us]", ["a", 1], "is of type object, allowed is datetime64[us]"),
        (
            "bool",
            ["yes", "no"],
            (
                "is of type str, allowed is bool or what becomes it without a "
                "loss: convert it first, 0 and 1 or words are no bool"
            ),
        ),
        ("int64", [1.0, 2.0], "is of type float, allowed is int or what"),
        (
            "int64",
            [1.0, None],
            "has no value in 1 of 2 rows, the first in row 2: allowed is int, without missing",
        ),
        ("int8", [1, 300], "is of type int, allowed is int8"),
        ("Int64", [1.5, None], "is of type float, allowed is pd.Int64Dtype"),
        ("Int64", [1.0, 2.0], "is of type float, allowed is pd.Int64Dtype"),
        ("Int8", [300.0, None], "is of type "),
        ("bool", [0, 1], "is of type int, allowed is bool"),
        ("bool", [None, True], "has no value in 1 of 2 rows, the first in row 1: allowed is bool"),
        ("str", [1, 2], "is of type int, allowed is str"),
        ("category[str]", [1, 2], "is of type int, allowed is category[str]"),
        ("category[int64]", ["a", "b"], "is of type str, allowed is category[int64]"),
        ("datetime64[us]", ["2026-11-24", None], "is of type str, allowed is datetime64[us]"),
        (
            "datetime64[us, UTC]",
            [DAY, DAY],
            "is of type datetime64[us], allowed is datetime64[us, UTC]",
        ),
        (
            "decimal128(9, 2)[pyarrow]",
            [1.0, 2.0],
            "is of type float, allowed is decimal128(9, 2)[pyarrow]",
        ),
    ],
)
def test_a_column_of_another_type(
    manifest: VersionManifest, trained: str, given: list[Any], said: str
) -> None:
    """It is named, with what it is and what is allowed, and without a cell."""
    with pytest.raises(DataRejected) as caught:
        checked_features(pd.DataFrame({"a": given}), reading(manifest, a=trained))
    assert f"column 'a' {said}" in str(caught.value)


@pytest.mark.fault("V04")
@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"b": [1.0]}), "column 'a' is missing$"),
        (
            pd.DataFrame({"b": ["1"]}),
            "column 'a' is missing; column 'b' is of type str, allowed is float",
        ),
        (pd.DataFrame({"a": []}), "column 'b' is missing"),
        (
            pd.DataFrame([[1.0, 2.0, 3.0]], columns=["a", "b", "a"]),
            "column 'a' is there more than once",
        ),
        (pd.DataFrame({"a": [], "b": []}), "there are no rows"),
        ([{"a": 1.0}], "rows are given as a pandas DataFrame, not as list"),
    ],
)
def test_a_frame_that_is_refused(manifest: VersionManifest, frame: Any, said: str) -> None:
    """Columns that are missing or there twice, a frame without rows, and what is no frame."""
    with pytest.raises(DataRejected, match=said):
        checked_features(frame, reading(manifest, a="float64", b="float64"))


@pytest.mark.fault("V04")
@pytest.mark.parametrize("dtype", ["float64", "Float64", "float32"])
def test_infinite_numbers_are_the_callers(manifest: VersionManifest, dtype: str) -> None:
    """They are refused before the model is asked, with column, count and first row."""
    types = {"a": "float64", "b": dtype, "c": "str", "d": "float64"}
    numbers = pd.Series([None, 1.0, np.inf, -np.inf], dtype=dtype)
    frame = pd.DataFrame({"a": 1.0, "b": numbers, "c": "x", "d": [np.inf, 1, 2, None]})
    with pytest.raises(DataRejected) as caught:
        checked_features(frame, reading(manifest, **types))
    assert str(caught.value).endswith(
        "column 'b' is infinite in 2 of 4 rows, the first in row 3: allowed are finite numbers; "
        "column 'd' is infinite in 1 of 4 rows, the first in row 1: allowed are finite numbers"
    )
    old = manifest.model_copy(update={"features": ("d",)})
    with pytest.raises(DataRejected, match="column 'd' is infinite in 1 of 4 rows"):
        checked_features(frame, old)


def test_of_very_many_columns_some_are_named(manifest: VersionManifest) -> None:
    """An error is for people."""
    wide = reading(manifest, **{f"p{number}": "float64" for number in range(500)})
    with pytest.raises(DataRejected, match=r"'p9' is missing; and 490 more$"):
        checked_features(pd.DataFrame({"a": [1]}), wide)


def test_the_columns_are_in_order_and_the_frame_is_not_touched(manifest: VersionManifest) -> None:
    """A model gets its columns in the order of its training, whatever the frame's is."""
    frame = pd.DataFrame({"b": [1, 2], "c": [0, 0], "a": [3.0, 4.0]})
    before = frame.copy(deep=True)
    rows = checked_features(frame, reading(manifest, a="float64", b="float64"))
    assert list(rows) == ["a", "b"]
    assert rows.dtypes.tolist() == [np.float64, np.float64]
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("known", "given", "codes"),
    [
        (["a", "b", "c"], ["c", "c"], [2, 2]),
        (["c", "a", "b"], ["a", None, "c"], [1, -1, 0]),
        (["b", "a"], ["a", "z", "k"], [1, 3, 2]),
        ([3, 1, 2], [2, 3], [2, 0]),
        ([3, 1, 2], pd.Series([2, None], dtype=pd.CategoricalDtype([2, 5])).array, [2, -1]),
        (["a", "b"], pd.Series(["b", "b"], dtype="category").array, [1, 1]),
        (["a", "b"], [None, None], [-1, -1]),
    ],
)
@pytest.mark.parametrize("ordered", [False, True])
def test_a_category_has_the_codes_of_its_training(
    manifest: VersionManifest, known: list[Any], given: Any, codes: list[int], ordered: bool
) -> None:
    """Whichever of its values a request holds; those that the training had not come after them."""
    trained = type_name(pd.Series(known, dtype="category").dtype)
    categories = {"a": Categories(values=tuple(known), ordered=ordered)}
    read = reading(manifest, a=trained).model_copy(update={"feature_categories": categories})
    frame = pd.DataFrame({"a": given})
    before = frame.copy(deep=True)
    column = checked_features(frame, read)["a"]
    assert column.cat.codes.tolist() == codes
    assert column.cat.ordered == ordered
    assert column.cat.categories[: len(known)].tolist() == known
    assert type_name(column.dtype) == trained
    assert column.astype(object).dropna().tolist() == [one for one in given if not pd.isna(one)]
    pd.testing.assert_frame_equal(frame, before)


def test_whole_numbers_as_categories_of_which_some_are_missing(manifest: VersionManifest) -> None:
    """Of another type they are refused as any other column is."""
    given = pd.Series([2, None], dtype=pd.CategoricalDtype(pd.Index([2, 5], dtype="int8")))
    with pytest.raises(DataRejected, match=r"'a' is of type category\[int8\], allowed is category"):
        checked_features(pd.DataFrame({"a": given}), reading(manifest, a="category[int64]"))


def test_a_column_may_have_any_name(manifest: VersionManifest) -> None:
    """That of an argument of Python too."""
    rows = checked_features(pd.DataFrame({"self": [1, 2]}), reading(manifest, self="float64"))
    assert rows["self"].tolist() == [1.0, 2.0]


def test_a_version_of_before_is_checked_by_name_only(manifest: VersionManifest) -> None:
    """Its manifest holds no types."""
    assert manifest.feature_types is None
    rows = checked_features(pd.DataFrame({"y": [1], "x": ["1"]}), manifest)
    assert list(rows) == ["x"]
    with pytest.raises(DataRejected, match="column 'x' is missing"):
        checked_features(pd.DataFrame({"y": [1]}), manifest)
