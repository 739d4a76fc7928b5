from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pandera.api.base.checks import CheckResult
from pandera.typing.pandas import Index

from include.retraining.config.model_code import ModelCode
from include.retraining.data import contract_checks
from include.retraining.data import contract_probes as canary
from include.retraining.data.contract import (
    check_contract,
    expectations,
    find_violations,
    rule_names,
)
from include.retraining.data.contract_probes import check_contract_refuses
from include.retraining.exceptions import ConfigError, DataRejected
from include.retraining.runs.foreign_errors import IN_THE_LOG, ROOT
from tests.support import apples
from tests.support.apples import DAY


class Apples(pa.DataFrameModel):
    """What the orchard promises."""

    apple_id: int = pa.Field(ge=0)
    sold: int = pa.Field(isin=[0, 1])
    weight: float = pa.Field(gt=0, le=500)
    colour: int = pa.Field(ge=1, le=9)
    origin: str
    note: str = pa.Field(nullable=True)

    class Config:
        """No other columns."""

        strict = True


def code(contract: type[Any] = Apples) -> ModelCode:
    """The apples' code with another contract."""
    return ModelCode(contract, ("weight", "colour"), lambda seed: None)


def check(
    frame: pd.DataFrame,
    contract: type[Any] = Apples,
    *,
    run_date: date = DAY,
    earlier_rows: tuple[int, ...] = (),
    **changes: Any,
) -> tuple[str, ...]:
    """Hold a frame against the apples' contract."""
    return check_contract(
        frame,
        apples.config(changes),
        code(contract),
        run_date=run_date,
        earlier_rows=earlier_rows,
    )


def refusal(frame: pd.DataFrame, *arguments: Any, **how: Any) -> str:
    """Why a frame is refused."""
    with pytest.raises(DataRejected) as caught:
        check(frame, *arguments, **how)
    return str(caught.value)


def spoiled(column: str, value: Any, *rows: int) -> pd.DataFrame:
    """A harvest with some cells of one column replaced."""
    frame = apples.harvest()
    if isinstance(value, float) and frame[column].dtype.kind == "i":
        frame[column] = frame[column].astype(float)
    elif isinstance(value, str) and frame[column].dtype.kind in "if":
        frame[column] = frame[column].astype(object)
    frame.loc[list(rows), column] = value
    return frame


def test_a_good_delivery_passes_and_says_what_was_checked():
    """The rules that ran are named, those of the contract and those of every delivery."""
    rules = check(apples.harvest(), earlier_rows=(200,))
    assert len(rules) == len(set(rules))
    for rule in (
        "weight: less_than_or_equal_to(500)",
        "apple_id: must be unique",
        "sold: must not be missing",
        "origin: must be there",
        "colour: type int64",
        "label rate",
        "volume",
        "rows: at least 50",
    ):
        assert rule in rules
    assert "note: must not be missing" not in rules
    assert "freshness" not in rules


@pytest.mark.fault("B01", "B03", "B04")
@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (lambda: apples.harvest().drop(columns="weight"), "weight: must be there"),
        (lambda: apples.harvest().drop(columns="origin"), "origin: must be there"),
        (
            lambda: apples.harvest().rename(columns={"weight": "Weight_"}),
            "weight: must be there (renamed to 'Weight_'?)",
        ),
        (lambda: apples.harvest().assign(extra=1), "does not know column 7 of the file"),
        (
            lambda: pd.concat([apples.harvest(), apples.harvest()[["colour"]]], axis=1),
            "colour: is there more than once",
        ),
        (lambda: spoiled("weight", np.nan, 3, 9), "weight: must not be missing: 2 rows"),
        (lambda: spoiled("weight", np.inf, 3), "weight: must be finite: 1 row, for example key 3"),
        (lambda: spoiled("weight", -np.inf, 4), "weight: must be finite: 1 row"),
        (lambda: spoiled("weight", 999.0, 3), "weight: less_than_or_equal_to(500): 1 row"),
        (lambda: spoiled("weight", -1.0, 3), "weight: greater_than(0): 1 row"),
        (lambda: spoiled("colour", 10, 3), "colour: less_than_or_equal_to(9): 1 row"),
        (
            lambda: spoiled("colour", 2.5, 3),
            "colour: must be of type int, is float64: declare",
        ),
        (lambda: spoiled("apple_id", 7, 3), "apple_id: must be unique: 1 row, for example key 7"),
        (lambda: spoiled("apple_id", np.nan, 3), "apple_id: must not be missing: 1 row"),
        (lambda: spoiled("sold", np.nan, 3), "sold: must not be missing: 1 row, for example key 3"),
        (lambda: spoiled("sold", 2, 3), "sold: has 3 different values, a binary label has two"),
        (lambda: apples.harvest().assign(sold=1), "sold: has one class only"),
        (lambda: apples.harvest().assign(sold=0), "sold: no row has the positive value 1"),
        (lambda: spoiled("sold", 0, *range(185)), "allowed are 0.2 to 0.9"),
        (lambda: apples.harvest(40), "there are 40, at least 50 are needed (data.min_rows)"),
        (lambda: apples.harvest(0), "rows: there are 0, at least 50 are needed"),
    ],
)
def test_a_broken_promise_is_told(frame: Callable[[], pd.DataFrame], expected: str):
    """Column, rule, number of rows and example keys are named (B01, B03, B04)."""
    assert expected in refusal(frame())


def test_a_cell_that_is_no_number_is_counted():
    """A word among numbers is told by its row, not by what it says."""
    message = refusal(spoiled("weight", "heavy", 5, 6))
    assert re.search(
        r"weight: must be of type float, is \w+: 2 rows, for example key 5, 6", message
    )
    assert "heavy" not in message


def test_every_violation_is_told_at_once():
    """One attempt shows all that has to be mended."""
    frame = spoiled("weight", 999.0, 3).drop(columns="origin").assign(extra=1)
    assert refusal(frame) == (
        "the data breaks its contract in 3 ways: (1) origin: must be there; (2) the contract does "
        "not know column 6 of the file, and allows no others; (3) weight: "
        "less_than_or_equal_to(500): 1 row, for example key 3"
    )


def test_at_most_five_example_keys_are_told():
    """A count says how many, five keys say where to look."""
    message = refusal(spoiled("weight", 999.0, *range(20, 60)))
    assert "40 rows, for example key 20, 21, 22, 23, 24" in message
    assert "25" not in message.split("example")[1]


@pytest.mark.fault("B03")
def test_no_value_of_a_cell_is_ever_told():
    """Messages carry keys only: what a protected column holds stays in the data."""

    class Strict(Apples):
        """Origins are from a list."""

        origin: str = pa.Field(isin=["north", "south"])

    frame = spoiled("origin", "atlantis", 1, 2).assign(note="personal words", weight=777.25)
    message = refusal(frame, Strict)
    assert "origin: isin(['north', 'south']): 2 rows, for example key 1, 2" in message
    assert not re.search("atlantis|personal|777", message)


@pytest.mark.parametrize(("word", "is_told"), [("NA", True), ("n/a", True), ("atlantis", False)])
def test_words_for_a_missing_cell_are_told_how_to_name(word: str, is_told: bool):
    """A category that is no category is often none at all; which word it was is not told."""

    class Strict(Apples):
        """Origins are from a list."""

        origin: str = pa.Field(isin=["north", "south"])

    frame = spoiled("origin", word, 1).assign(
        origin=lambda frame: frame["origin"].mask(frame.index == 2, "null")
    )
    message = refusal(frame, Strict)
    assert "origin: isin(['north', 'south']): 2 rows, for example key 1, 2" in message
    assert message.endswith("name it in data.csv.missing") == is_told
    assert word not in message


def test_keys_that_are_protected_are_not_told():
    """When the key itself is protected, rows are only counted."""
    message = refusal(
        spoiled("weight", 999.0, 3), **{"data.protected": [{"name": "id", "column": "apple_id"}]}
    )
    assert message.endswith("weight: less_than_or_equal_to(500): 1 row")


def test_columns_the_configuration_names_must_be_there():
    """A slice, a group or a date column that is missing is told before anything is trained."""
    message = refusal(
        apples.harvest(),
        **{
            "gates.slices": [{"column": "orchard", "minimum": 0.5}],
            "data.freshness": {"column": "picked", "max_age_days": 3},
        },
    )
    assert "orchard: must be there" in message
    assert "picked: must be there" in message


def test_extra_columns_are_fine_unless_the_contract_is_strict():
    """The contract decides on columns it does not declare."""

    class Loose(Apples):
        """Others may come and go."""

        class Config:
            """As pandera has it."""

            strict = False

    assert check(apples.harvest().assign(extra=1), Loose)


def test_whole_numbers_are_fine_where_the_contract_says_float():
    """A CSV column without a decimal point is read as integers; that is no change of the data."""
    frame = apples.harvest()
    frame["weight"] = frame["weight"].round().astype(int)
    assert check(frame)
    frame.loc[3, "weight"] = 999
    assert "weight: less_than_or_equal_to(500): 1 row" in refusal(frame)


def test_a_check_across_columns_is_told_with_its_rows():
    """A check on the whole frame is applied, and left out when its columns cannot be trusted."""

    class Across(Apples):
        """Heavy apples are dark."""

        @pa.dataframe_check(name="heavy apples are dark")
        def heavy_is_dark(cls, frame: pd.DataFrame) -> pd.Series:  # noqa: N805 a class method
            """As it says."""
            return (frame["weight"] < 450) | (frame["colour"] > 5)

    assert check(apples.harvest(), Across)
    frame = apples.harvest()
    frame.loc[[4, 5], ["weight", "colour"]] = [460.0, 2]
    assert "heavy apples are dark: 2 rows, for example key 4, 5" in refusal(frame, Across)
    assert "weight: must be there" in refusal(frame.drop(columns="weight"), Across)


@pytest.mark.parametrize(("rows", "is_fine"), [(50, True), (49, False), (200, True), (201, False)])
def test_the_volume_is_held_against_the_median(rows: int, is_fine: bool):
    """Half to twice the median of earlier deliveries is allowed, both ends included."""
    how: dict[str, Any] = {"earlier_rows": (90, 1000, 100), "data.min_rows": 1}
    if is_fine:
        assert "volume" in check(apples.harvest(rows), **how)
    else:
        message = refusal(apples.harvest(rows), **how)
        assert f"volume: there are {rows} rows" in message
        assert "the median of the last 3 deliveries (100)" in message


def test_the_volume_can_be_switched_off():
    """Without limits, earlier deliveries do not matter."""
    rules = check(apples.harvest(), earlier_rows=(10,), **{"data.volume": None})
    assert "volume" not in rules


class Dated(Apples):
    """Apples with the day they were picked."""

    picked: str


FRESH = {"data.freshness": {"column": "picked", "max_age_days": 3}}


def picked(newest: str, unit: str = "D") -> pd.DataFrame:
    """A harvest picked one after the other, the last at a given time."""
    times = pd.date_range(end=newest, periods=200, freq="h").strftime("%Y-%m-%dT%H:%M:%S%z")
    return apples.harvest().assign(picked=times.astype(str))


@pytest.mark.fault("A14")
@pytest.mark.parametrize(
    ("newest", "message"),
    [
        ("2026-11-24T23:59:59", None),
        ("2026-11-21", None),
        ("2026-11-20T12:00:00", "stale data: the newest row is 3.5 days older"),
        ("2026-10-18", "stale data: the newest row is 37 days older"),
        (
            "2026-11-25T00:00:00",
            "dated after the run's date 2026-11-24: 1 row, for example key 199",
        ),
        ("2026-11-24T22:59:00+00:00", None),
        ("2026-11-24T23:30:00+00:00", "dated after the run's date"),
    ],
)
def test_stale_and_future_data_are_refused(newest: str, message: str | None):
    """The newest row may be some days old and never after the run's day, on the model's clock."""
    frame = picked(newest)
    how = {**FRESH, "trigger.timezone": "Europe/Paris"}
    if message is None:
        assert "freshness" in check(frame, Dated, **how)
    else:
        assert message in refusal(frame, Dated, **how)


def test_a_cell_that_is_no_date_is_told():
    """Every row must have a date that can be read."""
    frame = picked("2026-11-24")
    frame.loc[[3, 4], "picked"] = ["soon", "24.11.2026"]
    message = refusal(frame, Dated, **FRESH)
    assert (
        "picked: must hold a date or time like 2026-11-24: 2 rows, for example key 3, 4" in message
    )


def test_times_from_parquet_may_have_any_unit():
    """A contract that says timestamp accepts micro- and nanoseconds."""

    class Timed(Apples):
        """Apples with a time."""

        picked: pd.Timestamp

    times = pd.to_datetime(picked("2026-11-24")["picked"])
    for unit in ("s", "us", "ns"):
        assert check(apples.harvest().assign(picked=times.dt.as_unit(unit)), Timed, **FRESH)


def test_a_regression_label_is_a_varying_number():
    """A label that is text or constant cannot be learned."""
    regression = {
        "problem": "regression",
        "data.positive": None,
        "data.label_rate": None,
        "gates.metric": "r2",
        "data.label": "weight",
    }
    assert check(apples.harvest(), **regression)
    constant = apples.harvest().assign(weight=5.0)
    assert "weight: has one value only" in refusal(constant, **regression)
    words = apples.harvest().assign(weight="heavy")
    assert "weight: must be a number" in refusal(words, **regression)


@pytest.mark.parametrize("zone", ["", "+00:00"])
def test_a_first_cell_that_is_no_date_is_told_and_not_shown(zone: str):
    """The day's end is read off the first cell that is a date, whatever the first cell says."""
    frame = picked(f"2026-11-24T20:00:00{zone}")
    frame.loc[0, "picked"] = "Jane Doe, HIV+"
    message = refusal(frame, Dated, **FRESH)
    assert message == (
        "the data breaks its contract: picked: must hold a date or time like 2026-11-24: 1 row, "
        "for example key 0"
    )


def test_a_first_row_in_place_of_a_header_is_not_shown():
    """What may be a row is told by its position; only names of the contract are told."""
    frame = apples.harvest().astype(str)
    frame.columns = ["1000", "1", "0.13", "4", "Jane Doe", "ripe weights"]
    message = refusal(frame)
    assert "weight: must be there" in message
    assert "the contract does not know 6 columns of the file (1, 2, 3, 4, 5, …)" in message
    assert not re.search("Jane|ripe|1000|0.13|renamed", message)


def test_a_list_of_violations_has_an_end():
    """Of a thousand broken columns the first are told and the rest counted."""
    names = [f"gene_{number}" for number in range(1000)]
    message = refusal(apples.harvest(), wide(names))
    assert "contract in 1,000 ways: (1) gene_0: must be there; (2) gene_1: must be" in message
    assert re.search(r"\(17\) gene_16: must be there; and 983 more in the task's log$", message)


@pytest.mark.parametrize("column", ["weight", "sold", "origin", "apple_id"])
@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, np.array([1])], ids=str)
def test_lists_and_records_are_refused_where_single_values_are_used(column: str, value: Any):
    """A label, key, feature or group of several values is told by its column."""
    frame = apples.harvest()
    frame[column] = [value] * len(frame)
    assert f"{column}: must hold single values, not lists or records" in refusal(frame)


def test_a_check_on_a_column_with_gaps_counts_its_rows():
    """A missing value breaks no check and does not hide how many rows do."""

    class Gaps(Apples):
        """Weights may be missing."""

        weight: float = pa.Field(gt=0, le=500, nullable=True)

    frame = spoiled("weight", np.nan, 0, 1)
    frame.loc[[5, 9], "weight"] = 999.0
    message = refusal(frame, Gaps)
    assert message.endswith("weight: less_than_or_equal_to(500): 2 rows, for example key 5, 9")


def test_a_check_may_look_at_groups_or_answer_once():
    """Checks by group, by element and on the whole column are run as pandera runs them."""

    class Grouped(Apples):
        """With all kinds of checks."""

        @pa.check("weight", groupby="sold", name="sold apples are heavier")
        def heavier(cls, groups: dict[int, pd.Series]) -> bool:  # noqa: N805 a class method
            """Compare the groups."""
            return bool(groups[1].mean() > groups[0].mean())

        @pa.check("colour", element_wise=True, name="no colour is 7")
        def no_seven(cls, value: int) -> bool:  # noqa: N805 a class method
            """Look at one cell."""
            return value != 7

        @pa.check("weight", name="weights differ")
        def differ(cls, series: pd.Series) -> bool:  # noqa: N805 a class method
            """Look at the column."""
            return series.nunique() > 1

    frame = apples.harvest()
    frame["colour"] = frame["colour"].replace(7, 6)
    assert "colour: no colour is 7" in check(frame, Grouped)
    frame.loc[[2, 3], "colour"] = 7
    message = refusal(frame.assign(weight=5.0), Grouped)
    for told in (
        "weight: sold apples are heavier",
        "weight: weights differ",
        "colour: no colour is 7: 2 rows, for example key 2, 3",
    ):
        assert told in message


# Columns by pattern, together, in order, in thousands.


class Measured(Apples):
    """Apples with any number of measurements."""

    measurement: float = pa.Field(ge=0, alias="m_.*", regex=True)


def measured(**columns: Any) -> pd.DataFrame:
    """A harvest with some more columns."""
    return apples.harvest().assign(**{"m_1": 0.5, "m_2": 1.5, **columns})


def test_a_pattern_declares_every_column_that_matches():
    """Presence, type, gaps and checks hold for each match, and none is unknown."""
    assert {"m_.*: a column must match this pattern", "m_.*: type float64"} < set(
        check(measured(), Measured)
    )
    assert "m_.*: a column must match this pattern" in refusal(apples.harvest(), Measured)
    message = refusal(measured(m_1=-1.0, m_2="x", m_3=np.nan), Measured)
    for told in (
        "m_1: greater_than_or_equal_to(0): 200 rows",
        "m_2: must be of type float",
        "m_3: must not be missing: 200 rows",
    ):
        assert told in message


def test_a_feature_may_match_a_pattern():
    """What a pattern declares can be read by a model, and must be there."""
    model = ModelCode(Measured, ("m_1", "m_2"), lambda seed: None)
    how: dict[str, Any] = {"run_date": DAY, "earlier_rows": ()}
    assert check_contract(measured(), apples.config(), model, **how)
    with pytest.raises(DataRejected, match="m_2: must be there"):
        check_contract(measured().drop(columns="m_2"), apples.config(), model, **how)
    unknown = ModelCode(Measured, ("n_1",), lambda seed: None)
    with pytest.raises(ConfigError, match="does not declare n_1"):
        check_contract(measured(), apples.config(), unknown, **how)


def test_a_name_and_a_pattern_hold_together():
    """A column that both declare keeps the checks of both, and the type of its name."""

    class Both(Measured):
        """One measurement has a limit of its own."""

        m_1: int = pa.Field(le=9)

    assert check(measured(m_1=4), Both)
    assert "m_1: less_than_or_equal_to(9): 200 rows" in refusal(measured(m_1=10), Both)
    assert "m_1: greater_than_or_equal_to(0): 200 rows" in refusal(measured(m_1=-1), Both)


def test_a_type_for_all_columns_is_checked():
    """`dtype` of a contract's Config holds for each column it declares."""

    class Numbers(pa.DataFrameModel):
        """All numbers with a point."""

        apple_id: float
        sold: float
        weight: float
        colour: float

        class Config:
            """As pandera has it."""

            dtype = "float64"

    frame = apples.harvest()[["apple_id", "sold", "weight", "colour"]].assign(origin="north")
    assert check(frame, Numbers)
    assert "weight: must be of type float" in refusal(frame.assign(weight="x"), Numbers)


@pytest.mark.parametrize("sets", [["origin", "colour"], [["origin", "colour"], ["apple_id"]]])
def test_columns_may_be_unique_together(sets: list[Any]):
    """Columns, number of rows and example keys are told, and the rule is among those that ran."""

    class Together(Apples):
        """One apple of each colour from each place."""

        class Config:
            """As pandera has it."""

            unique = sets

    frame = apples.harvest().assign(origin=[f"tree {number}" for number in range(200)])
    assert "origin and colour: must be unique together" in check(frame, Together)
    frame.loc[[8, 9], ["origin", "colour"]] = frame.loc[[3, 4], ["origin", "colour"]].to_numpy()
    frame["colour"] = frame["colour"].astype(int)
    message = refusal(frame, Together)
    assert message.endswith(
        "origin and colour: must be unique together: 2 rows, for example key 8, 9"
    )


def test_columns_may_be_ordered():
    """The first column out of its place is told, and the rule is among those that ran."""

    class Ordered(Apples):
        """In the order of the contract."""

        class Config:
            """As pandera has it."""

            ordered = True

    frame = apples.harvest()
    assert "columns: must be in the order of the contract" in check(frame, Ordered)
    turned = frame[["apple_id", "sold", "colour", "weight", "origin", "note"]]
    message = refusal(turned, Ordered)
    assert message.endswith(
        "weight: columns must be in the order of the contract: it belongs after 'sold'"
    )


def wide(names: list[str]) -> type[Any]:
    """The apples' contract with many columns alike."""
    fields = {name: pa.Field(ge=0, le=9, nullable=True) for name in names}
    types = dict.fromkeys(names, float)
    return type("Wide", (Apples,), {"__annotations__": types, "__module__": __name__, **fields})


def test_checks_that_columns_share_are_run_once(monkeypatch: pytest.MonkeyPatch):
    """A thousand columns need no more runs of pandera than one."""
    calls: list[str] = []
    real = pa.Check.__call__

    def counting(self, frame, column=None):
        calls.append(self.name)
        return real(self, frame, column)

    monkeypatch.setattr(pa.Check, "__call__", counting)
    names = [f"gene_{number}" for number in range(1000)]
    random = np.random.default_rng(0)
    genes = pd.DataFrame(random.uniform(0, 9, (200, 1000)), columns=names)
    frame = pd.concat([apples.harvest(), genes], axis=1)
    rules = check(frame, wide(names))
    assert len(calls) < 20
    assert {"1,001 columns: less_than_or_equal_to(9)", "weight: greater_than(0)"} < set(rules)
    assert len(rules) < 40
    calls.clear()
    assert "out of range" in refused(frame, wide(names))
    assert len(calls) < 100

    genes.loc[[4, 5], "gene_7"] = [-1.0, np.nan]
    genes.loc[6, "gene_999"] = 10.0
    assert refusal(pd.concat([apples.harvest(), genes], axis=1), wide(names)) == (
        "the data breaks its contract in 2 ways: "
        "(1) gene_7: greater_than_or_equal_to(0): 1 row, for example key 4; "
        "(2) gene_999: less_than_or_equal_to(9): 1 row, for example key 6"
    )


@pytest.mark.parametrize("cells", [1, 450, 10**6])
def test_what_is_found_does_not_depend_on_how_many_columns_are_looked_at_at_once(
    monkeypatch: pytest.MonkeyPatch, cells: int
):
    """Columns one by one, two by two or all at once give the same violations."""
    monkeypatch.setattr(contract_checks, "BLOCK_CELLS", cells)
    names = [f"gene_{number}" for number in range(9)]
    genes = pd.DataFrame(1.0, index=range(200), columns=names)
    genes.loc[3, "gene_0"], genes.loc[[4, 5], "gene_8"] = np.inf, -1.0
    genes.loc[6, "gene_4"] = np.nan
    message = refusal(pd.concat([apples.harvest(), genes], axis=1), wide(names))
    assert message == (
        "the data breaks its contract in 3 ways: "
        "(1) gene_0: must be finite: 1 row, for example key 3; "
        "(2) gene_8: greater_than_or_equal_to(0): 2 rows, for example key 4, 5; "
        "(3) gene_0: less_than_or_equal_to(9): 1 row, for example key 3"
    )


# The contract itself.


def broken_contracts() -> dict[str, type[Any]]:
    """Contracts that cannot be applied, by what is wrong with them."""

    class Coercing(Apples):
        """Changes what it checks."""

        class Config:
            """As pandera has it."""

            coerce = True

    class Filtering(Apples):
        """Drops columns."""

        class Config:
            """As pandera has it."""

            strict = "filter"

    class Dropping(Apples):
        """Drops rows."""

        class Config:
            """As pandera has it."""

            drop_invalid_rows = True

    class Parsing(Apples):
        """Changes values."""

        @pa.parser("weight")
        def rounded(cls, series: pd.Series) -> pd.Series:  # noqa: N805 a class method
            """Round."""
            return series.round()

    class Empty(pa.DataFrameModel):
        """Checks nothing."""

    class Partial(pa.DataFrameModel):
        """Leaves a feature out."""

        apple_id: int
        sold: int
        weight: float

    class Together(Apples):
        """Wants a column that it does not declare to be unique."""

        class Config:
            """As pandera has it."""

            unique: ClassVar = ["apple_id", "tree"]

    class Indexed(Apples):
        """Wants an index."""

        number: Index[int]

    class Unknown(Apples):
        """Has a type nobody knows."""

        colour: Path

    return {
        "coerce is not allowed": Coercing,
        "strict = 'filter' is not allowed": Filtering,
        "drop_invalid_rows is not allowed": Dropping,
        "a parser is not allowed": Parsing,
        "does not declare apple_id, sold, weight, colour": Empty,
        "does not declare colour": Partial,
        "does not declare tree": Together,
        "an index is not allowed": Indexed,
        "is not valid": Unknown,
    }


@pytest.mark.fault("B13")
@pytest.mark.parametrize(("message", "contract"), list(broken_contracts().items()))
def test_a_contract_that_cannot_be_applied_is_an_error(message: str, contract: type[Any]):
    """A contract that is invalid, that changes the data or that leaves out a column fails (B13)."""
    with pytest.raises(ConfigError, match=message):
        check(apples.harvest(), contract)


@pytest.mark.fault("B12")
def test_a_check_that_crashes_is_a_failure():
    """A validator that breaks never means yes (B12)."""

    class Crashing(Apples):
        """Divides by zero."""

        @pa.check("weight", name="never works")
        def crash(cls, series: pd.Series) -> pd.Series:  # noqa: N805 a class method
            """Fail."""
            raise ZeroDivisionError

    with pytest.raises(ConfigError, match="the check 'never works' of weight crashed"):
        check(apples.harvest(), Crashing)


def test_a_check_that_crashes_is_told_by_its_line_and_never_by_what_it_says():
    """Who wrote it finds the line; what it stumbled over may be a cell and stays in the log."""
    text = apples.CODE.replace(
        "    class Config:",
        """    @pa.check("note", name="is short")
    def _is_short(cls, notes):
        return notes.map({"sweet": 5}.__getitem__).lt(9)

    class Config:""",
    )
    line = 1 + text.splitlines().index('        return notes.map({"sweet": 5}.__getitem__).lt(9)')
    module = {"__name__": "include.models.apples"}
    exec(compile(text, str(ROOT / "include/models/apples.py"), "exec"), module)  # as if installed
    with pytest.raises(ConfigError) as raised:
        check(apples.harvest(), module["Contract"])
    assert str(raised.value).startswith(
        "include/models/apples.py: Contract: the check 'is short' of note crashed: KeyError at "
        f"include/models/apples.py line {line}, in _is_short, raised in "
    )
    assert str(raised.value).endswith(IN_THE_LOG)
    assert "ripe" not in str(raised.value)


# Canaries.


def refused(frame: pd.DataFrame, contract: type[Any] = Apples) -> tuple[str, ...]:
    """The bad frames that the contract refuses."""
    expected = expectations(apples.config(), code(contract), run_date=DAY, earlier_rows=())
    return check_contract_refuses(frame, expected)


def test_bad_frames_are_refused():
    """Each run tries its contract on frames with a known fault."""
    assert refused(apples.harvest()) == (
        "column dropped",
        "key twice",
        "values missing",
        "infinite",
        "out of range",
    )


def test_a_column_may_be_called_like_anything():
    """A column named as a Python word, `self` for one, is no trouble."""

    class Odd(Apples):
        """With a column named self."""

        own: float = pa.Field(ge=0, le=1, alias="self")

    assert "out of range" in refused(
        apples.harvest().assign(own=0.5).rename(columns={"own": "self"}), Odd
    )


@pytest.mark.fault("B12")
@pytest.mark.parametrize("silent", ["must be there", "must be unique", "must not be missing"])
def test_a_bad_frame_that_passes_fails_the_run(monkeypatch: pytest.MonkeyPatch, silent: str):
    """A validator that no longer notices one kind of fault is found out (B12)."""

    def blind(frame, expected):
        return [
            item for item in find_violations(frame, expected) if not item.rule.startswith(silent)
        ]

    monkeypatch.setattr(canary, "find_violations", blind)
    with pytest.raises(ConfigError, match="accepted a bad frame"):
        refused(apples.harvest())


@pytest.mark.fault("B12")
def test_a_validator_that_checks_nothing_fails_the_run(monkeypatch: pytest.MonkeyPatch):
    """No violations at all is not a yes (B12)."""
    monkeypatch.setattr(canary, "find_violations", lambda frame, expected: [])
    with pytest.raises(ConfigError, match="it proves nothing"):
        refused(apples.harvest())


@pytest.mark.fault("B12")
def test_a_range_that_is_not_enforced_is_found_out(monkeypatch: pytest.MonkeyPatch):
    """Ranges that pandera does not check any more are missed."""
    passed = CheckResult(True, True, None, None)
    monkeypatch.setattr(pa.Check, "__call__", lambda self, frame, column=None: passed)
    with pytest.raises(ConfigError, match="out of range: apple_id, sold, weight, colour"):
        refused(apples.harvest())


# Properties (B14).

QUICK = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.fault("B14")
@QUICK
@given(
    rows=st.integers(50, 300),
    seed=st.integers(0, 2**32 - 1),
    first_id=st.integers(0, 10**12),
    order=st.randoms(use_true_random=False),
)
def test_valid_frames_always_pass(rows: int, seed: int, first_id: int, order):
    """Whatever apples are harvested, in whatever order, they pass."""
    frame = apples.harvest(rows, seed=seed, first_id=first_id)
    shuffled = list(range(rows))
    order.shuffle(shuffled)
    assert check(frame.iloc[shuffled].reset_index(drop=True), **{"data.label_rate": None})


MUTATIONS: dict[str, Callable[[pd.DataFrame, int], pd.DataFrame]] = {
    "column dropped": lambda frame, at: frame.drop(columns=frame.columns[at % 6]),
    "column added": lambda frame, at: frame.assign(stranger=at),
    "column renamed": lambda frame, at: frame.rename(
        columns={frame.columns[at % 6]: f"{frame.columns[at % 6]}_{at}"}
    ),
    "key twice": lambda frame, at: _with(frame, "apple_id", at, frame["apple_id"].iloc[at - 1]),
    "key missing": lambda frame, at: _with(frame, "apple_id", at, None),
    "key negative": lambda frame, at: _with(frame, "apple_id", at, -1 - at),
    "label missing": lambda frame, at: _with(frame, "sold", at, None),
    "label unknown": lambda frame, at: _with(frame, "sold", at, 2 + at),
    "weight missing": lambda frame, at: _with(frame, "weight", at, None),
    "weight infinite": lambda frame, at: _with(frame, "weight", at, np.inf),
    "weight zero": lambda frame, at: _with(frame, "weight", at, 0.0),
    "weight sentinel": lambda frame, at: _with(frame, "weight", at, 999.0),
    "weight a word": lambda frame, at: _with(frame, "weight", at, "heavy"),
    "colour sentinel": lambda frame, at: _with(frame, "colour", at, -1),
    "colour a fraction": lambda frame, at: _with(frame, "colour", at, 1.5),
    "origin missing": lambda frame, at: _with(frame, "origin", at, None),
    "origin a number": lambda frame, at: frame.assign(origin=at),
    "too few rows": lambda frame, at: frame.head(at % 50),
}


def _with(frame: pd.DataFrame, column: str, at: int, value: Any) -> pd.DataFrame:
    changed = frame.copy()
    values = changed[column].astype(object)
    values.iloc[at % len(frame)] = value
    changed[column] = values.infer_objects()
    return changed


@pytest.mark.fault("B14")
@QUICK
@given(
    mutation=st.sampled_from(sorted(MUTATIONS)),
    rows=st.integers(50, 120),
    seed=st.integers(0, 2**32 - 1),
    at=st.integers(1, 49),
)
def test_any_single_fault_is_refused(mutation: str, rows: int, seed: int, at: int):
    """One fault anywhere in an otherwise good delivery is enough."""
    frame = MUTATIONS[mutation](apples.harvest(rows, seed=seed), at)
    message = refusal(frame)
    assert message.startswith("the data breaks its contract")


def test_the_names_of_the_rules_do_not_depend_on_the_data():
    """What is checked follows from contract and configuration alone."""
    expected = expectations(apples.config(), code(), run_date=DAY, earlier_rows=())
    assert rule_names(expected) == check(apples.harvest())
