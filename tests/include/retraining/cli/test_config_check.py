"""What can be known about a model before its first run is said by `validate-config`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.retraining.cli import config_check
from include.retraining.cli.config_check import Checked, check_model
from include.retraining.config.cron import schedule_problem
from include.retraining.config.model import load_model
from include.retraining.exceptions import ConfigError
from tests.include.retraining.config.test_model import PODS
from tests.support.toy_models import Toy, model_file

pytestmark = pytest.mark.usefixtures("toy_files")


@pytest.fixture
def toy(make_toy: Any) -> Toy:
    """A model whose files are as they should be."""
    return make_toy()


@pytest.fixture
def toy_files(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its YAML is read where its test says."""
    monkeypatch.setattr(config_check, "load_model", lambda _: toy.config)


def problems(toy: Toy) -> list[str]:
    """What is said about a model, without the name of its files."""
    return [line.replace(f"include/models/{toy.name}", "toy") for line in checked(toy).problems]


def checked(toy: Toy) -> Checked:
    """What is said about a model."""
    return check_model(toy.name, "toy.yaml")


def test_a_model_that_fits_its_contract_is_valid(toy: Toy):
    """Nothing is said about it."""
    toy.changes = {"gates": {"minimum": {"accuracy": 0.5}}}
    assert checked(toy) == Checked("toy.yaml")


def test_an_asset_of_a_model_that_is_not_there_is_told(toy: Toy):
    """Of assets that look like a model's own; any other may be declared by any DAG."""
    assets = ["loan_aproval_champion", "loan_approval_champion", "s3://lake/x_champion", "prices"]
    toy.changes = {"trigger": {"schedule": "@daily", "on": {"assets": assets}}}
    (line,) = problems(toy)
    assert line == (
        "toy.yaml: trigger.on.assets: loan_aproval_champion: there is no model 'loan_aproval' "
        "(did you mean loan_approval_champion?)"
    )


COLUMNS = {
    "data": {
        "key": "idd",
        "label": "yy",
        "split": {"by": "time", "column": "day", "holdout_days": 3},
        "protected": [{"name": "sex", "one_hot": ["female", "male"]}],
        "freshness": {"column": "dayy", "max_age_days": 3},
    },
    "gates": {"slices": [{"column": "region", "max_drop": 0.1}]},
}


def test_every_column_that_is_named_and_not_declared_is_told_at_once(toy: Toy):
    """Label, key, split, freshness, protected columns, slices and features, with their fields."""
    toy.changes = COLUMNS
    toy.write_model(model_file("binary").replace('("a", "b")', '("a", "bb", "c")'))
    said = "the contract does not declare"
    assert problems(toy) == [
        f"toy.yaml: data.key: {said} 'idd' (did you mean 'id'?)",
        f"toy.yaml: data.label: {said} 'yy' (did you mean 'y'?)",
        f"toy.yaml: data.split.column: {said} 'day'",
        f"toy.yaml: data.freshness.column: {said} 'dayy'",
        f"toy.yaml: data.protected.sex.one_hot: {said} 'female'",
        f"toy.yaml: data.protected.sex.one_hot: {said} 'male'",
        f"toy.yaml: gates.slices.0.column: {said} 'region'",
        f"toy.py: FEATURES: {said} 'bb' (did you mean 'b'?)",
        f"toy.py: FEATURES: {said} 'c'",
    ]


def test_all_that_is_wrong_with_a_python_file_is_told_with_the_schedule(toy: Toy):
    """A second run of the command finds nothing new."""
    toy.changes = {"trigger": {"schedule": "0 6 31 2 *"}}
    toy.write_model("FEATURES = ('a', 'y', 'id')\n")
    entry_point = (
        "toy.py: must define the function 'build_estimator' that training.entry_point of "
        f"{toy.name}.yaml names"
    )
    assert [line.partition("; allowed")[0] for line in problems(toy)] == [
        "toy.yaml: trigger.schedule: '0 6 31 2 *' never comes",
        "toy.py: must define `Contract`, a pandera DataFrameModel or DataFrameSchema",
        "toy.py: FEATURES: 'y' is the label",
        "toy.py: FEATURES: 'id' is the key",
        entry_point,
    ]


REGEX = "    m: float = pa.Field(alias=PATTERN, regex=True)\n\n    class Config:"


def test_a_pattern_declares_the_columns_it_matches(toy: Toy):
    """A column of `FEATURES` may be declared by a regular expression, which must be one."""
    text = model_file("binary").replace('("a", "b")', '("a", "b", "m_1", "n")')
    toy.write_model(text.replace("    class Config:", REGEX.replace("PATTERN", "'m_[0-9]'")))
    assert problems(toy) == ["toy.py: FEATURES: the contract does not declare 'n'"]
    toy.write_model(text.replace("    class Config:", REGEX.replace("PATTERN", "'m_['")))
    (line,) = problems(toy)
    assert "'m_[' is no regular expression" in line


def test_a_contract_that_could_not_be_applied_is_told(toy: Toy):
    """What a run would say of the contract itself is said before it."""
    toy.write_model(model_file("binary").replace("strict = False", "coerce = True"))
    (line,) = problems(toy)
    assert "toy.py: Contract: coerce is not allowed" in line
    toy.write_model(model_file("binary").replace("a: float", "a: 'nothing'"))
    (line,) = problems(toy)
    assert line.startswith("toy.py: Contract: is not valid: ")


def test_all_that_is_wrong_with_a_contract_is_told_at_once(toy: Toy):
    """Settings, patterns, columns and the positive value are looked at in one go."""
    text = model_file("binary").replace("y: int", "y: str = pa.Field(isin=['no', 'yes'])")
    text = text.replace("strict = False", "coerce = True; strict = 'filter'; unique = ['id', 'm']")
    toy.changes = {"data": {"positive": "Yes"}}
    toy.write_model(text.replace('("a", "b")', '("a", "n")'))
    reason = "is not allowed: training reads what was delivered"
    assert problems(toy) == [
        f"toy.py: Contract: coerce {reason}",
        f"toy.py: Contract: strict = 'filter' {reason}",
        "toy.py: FEATURES: the contract does not declare 'n'",
        "toy.py: Contract: the contract does not declare 'm'",
        "toy.yaml: data.positive: is 'Yes', and the contract allows 'y' only 'no', 'yes'",
    ]
    pattern = "    m: float = pa.Field(alias='m_[', regex=True)\n"
    pattern += "    k: float = pa.Field(alias='k_(', regex=True)\n\n    class Config:"
    toy.write_model(text.replace("    class Config:", pattern))
    assert [line.partition(" at position")[0] for line in problems(toy)] == [
        f"toy.py: Contract: coerce {reason}",
        f"toy.py: Contract: strict = 'filter' {reason}",
        "toy.py: Contract: 'm_[' is no regular expression: unterminated character set",
        "toy.py: Contract: 'k_(' is no regular expression: missing ), unterminated subpattern",
    ]


@pytest.mark.parametrize(
    ("positive", "label"),
    [
        ("yes", "str = pa.Field(isin=['no', 'yes'])"),
        (1, "int = pa.Field(isin=[0, 1])"),
        (1, "bool = pa.Field(isin=[False, True])"),
        ("1", "float = pa.Field(isin=(0.0, 1.0))"),
        ("Yes", "str"),
        ("Yes", "str = pa.Field(str_length={'max_value': 3})"),
    ],
)
def test_a_positive_value_that_the_contract_allows_is_valid(toy: Toy, positive: Any, label: str):
    """Classes are compared as the training compares them; without `isin` any may come."""
    toy.changes = {"data": {"positive": positive}, "gates": {"minimum": {"accuracy": 0.5}}}
    toy.write_model(model_file("binary").replace("y: int", f"y: {label}"))
    assert checked(toy) == Checked("toy.yaml")


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ("0 6 * * 1-5", None),
        ("@weekly", None),
        ("0 0 L * *", None),
        ("61 * * * *", "is not a time that comes"),
        ("*/0 * * * *", "is not a time that comes"),
        ("a b c d e", "is not a time that comes"),
        ("0 0 30 2 *", "never comes"),
        ("R * * * *", "is drawn by chance"),
        ("H 6 * * *", "is drawn by chance"),
    ],
)
def test_a_schedule_is_one_that_airflow_can_follow(schedule: str, said: str | None):
    """Five fields that look well may still be no time, or one that never comes."""
    found = schedule_problem(schedule)
    assert found is None if said is None else said in str(found)


def test_a_store_that_a_job_elsewhere_does_not_see_is_a_warning(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
):
    """The store of this shell need not be that of Airflow."""
    monkeypatch.setenv("RETRAINING_STORE", "file:///srv/store")
    before = checked(toy).warnings
    toy.changes = {"compute": {"train_model": PODS}}
    (more,) = set(checked(toy).warnings) - set(before)
    assert "compute.train_model: a job that runs elsewhere does not see file:///srv/store" in more


def test_a_file_whose_name_is_no_models_is_told(tmp_path: Path):
    """Its name is what is wrong, not that there is no such model."""
    (tmp_path / "My-Model.yaml").write_text("name: My-Model\n")
    with pytest.raises(ConfigError, match=r"My-Model\.yaml: is no name for a model"):
        load_model("My-Model", tmp_path)


def test_two_models_that_score_into_one_folder_are_told(toy: Toy, monkeypatch: pytest.MonkeyPatch):
    """Each would undo the other's scores, so both are named."""
    monkeypatch.setattr(
        config_check,
        "load_model",
        lambda name: toy.config if name == toy.name else load_model(name),
    )
    places = {"location": "landing/new", "flag": "landing/new/ready.flag"}
    scores = {"input": places, "output": "scores/diabetes_progression/", "schedule": "@daily"}
    toy.changes = {"scoring": scores}
    (line,) = problems(toy)
    assert line == (
        "toy.yaml: scoring.output: 'scores/diabetes_progression/' is that of the model "
        "diabetes_progression too"
    )
