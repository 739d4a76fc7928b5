from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.retraining import canary
from include.retraining.canary import refused_canaries
from include.retraining.code import ModelCode
from include.retraining.contract import check_contract, expectations, find_violations, rule_names
from include.retraining.exceptions import ConfigError, DataRejected
from tests.include.retraining import apples
from tests.include.retraining.apples import DAY


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
        (lambda: apples.harvest().assign(extra=1), "extra: is not a column of the contract"),
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
        (lambda: spoiled("colour", 2.5, 3), "colour: must be of type int64, is float64"),
        (lambda: spoiled("apple_id", 7, 3), "apple_id: must be unique: 1 row, for example key 7"),
        (lambda: spoiled("apple_id", np.nan, 3), "apple_id: must not be missing: 1 row"),
        (lambda: spoiled("sold", np.nan, 3), "sold: must not be missing: 1 row, for example key 3"),
        (lambda: spoiled("sold", 2, 3), "sold: has 3 different values, a binary label has two"),
        (lambda: apples.harvest().assign(sold=1), "sold: has one class only"),
        (lambda: apples.harvest().assign(sold=0), "sold: no row has the positive value 1"),
        (lambda: spoiled("sold", 0, *range(185)), "allowed are 0.2 to 0.9"),
        (lambda: apples.harvest(40), "rows: there are 40, at least 50 are needed"),
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
        r"weight: must be of type float64, is \w+: 2 rows, for example key 5, 6", message
    )
    assert "heavy" not in message


def test_every_violation_is_told_at_once():
    """One attempt shows all that has to be mended."""
    frame = spoiled("weight", 999.0, 3).drop(columns="origin").assign(extra=1)
    message = refusal(frame)
    first, *others = message.splitlines()
    assert first == ("the data breaks its contract: origin: must be there (and 2 more, all below)")
    assert others == [
        "- origin: must be there",
        "- extra: is not a column of the contract",
        "- weight: less_than_or_equal_to(500): 1 row, for example key 3",
    ]


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


# Canaries.


def canaries(frame: pd.DataFrame, contract: type[Any] = Apples) -> tuple[str, ...]:
    """The bad frames that the contract refuses."""
    expected = expectations(apples.config(), code(contract), run_date=DAY, earlier_rows=())
    return refused_canaries(frame, expected)


def test_bad_frames_are_refused():
    """Each run tries its contract on frames with a known fault."""
    assert canaries(apples.harvest()) == (
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

    assert "out of range" in canaries(
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
    with pytest.raises(ConfigError, match="let a bad frame pass"):
        canaries(apples.harvest())


@pytest.mark.fault("B12")
def test_a_validator_that_checks_nothing_fails_the_run(monkeypatch: pytest.MonkeyPatch):
    """No violations at all is not a yes (B12)."""
    monkeypatch.setattr(canary, "find_violations", lambda frame, expected: [])
    with pytest.raises(ConfigError, match="its yes means nothing"):
        canaries(apples.harvest())


@pytest.mark.fault("B12")
def test_a_range_that_is_not_enforced_is_found_out(monkeypatch: pytest.MonkeyPatch):
    """Ranges that pandera does not check any more are missed."""
    monkeypatch.setattr(pa.DataFrameSchema, "validate", lambda self, frame, **how: frame)
    with pytest.raises(ConfigError, match="out of range: apple_id, sold, weight, colour"):
        canaries(apples.harvest())


# Properties (B14).

QUICK = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
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
    assert message.startswith("the data breaks its contract: ")


def test_the_names_of_the_rules_do_not_depend_on_the_data():
    """What is checked follows from contract and configuration alone."""
    expected = expectations(apples.config(), code(), run_date=DAY, earlier_rows=())
    assert rule_names(expected) == check(apples.harvest())
