"""The section `scoring`: what does not fit is named with what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from include.retraining.config.model import load_model, parse_model
from include.retraining.exceptions import ConfigError

INPUT = {"location": "landing/new/{date}", "flag": "landing/new/{date}/_SUCCESS"}

SCORING = {"input": INPUT, "output": "scores/{date}", "schedule": "*/30 * * * *"}


def parsed(**scoring: Any) -> Any:
    """The sample's configuration with another section `scoring`."""
    values = load_model("diabetes_progression").model_dump(mode="json")
    values["scoring"] = {**SCORING, **scoring}
    return parse_model(yaml.safe_dump(values), where="toy.yaml").scoring


def test_a_model_scores_nothing_unless_it_says_so():
    """Without the section there is none, and its digest of what trains is the same with it."""
    config = load_model("loan_approval")
    assert config.scoring is None
    with_it = load_model("diabetes_progression")
    without = with_it.model_copy(update={"scoring": None})
    assert with_it.training_view == without.training_view


def test_days_are_partitions_where_every_address_has_them():
    """`{date}` in input, flag and output makes a partition of each day."""
    assert parsed().is_dated
    undated = {"location": "landing/new", "flag": "landing/new/ready.flag"}
    assert not parsed(input=undated, output="scores").is_dated


@pytest.mark.parametrize(
    ("scoring", "problem"),
    [
        ({"output": "scores"}, "either input.location, input.flag and output all hold it"),
        ({"output": "models/{date}"}, "where the store keeps its own records"),
        ({"output": "./models/{date}"}, "'.' and '//' are not allowed"),
        ({"output": "scores//{date}"}, "'.' and '//' are not allowed"),
        ({"output": "published/{date}"}, "where the store keeps its own records"),
        ({"output": "store.json/{date}"}, "where the store keeps its own records"),
        (
            {
                "input": {"location": "landing/new", "flag": "landing/new/ready.flag"},
                "output": "landing/diabetes_progression/",
            },
            "is data.location",
        ),
        ({"output": "landing/new/{date}"}, "is the input's folder"),
        ({"output": "../{date}"}, "'..'"),
        ({"output": "ftp://x/{date}"}, "is not a place"),
        ({"key": "progression"}, "is the label"),
        ({"carry": ["progression"]}, "is the label, which is not read"),
        ({"carry": ["patient_id"]}, "is the key, which is always there"),
        ({"carry": ["age", "age"]}, "a column is named twice"),
        ({"carry": ["probability_low"]}, "a column that the scores add"),
        ({"carry": ["model_version"]}, "a column that the scores add"),
        ({"schedule": "daily"}, "is not a cron expression"),
        ({"schedule": None}, "scoring.schedule"),
        ({"rescore_days": 400}, "less than or equal to 366"),
        ({"input": {**INPUT, "files": ["a/*.csv"]}}, "files lie directly"),
        (
            {
                "output": "file:///srv/{date}",
                "compute": {
                    "backend": "kubernetes",
                    "namespace": "training",
                    "cpu": 1,
                    "memory": "1GiB",
                    "image": f"x@sha256:{'0' * 64}",
                },
            },
            "on the worker's disk, which a job on kubernetes cannot reach",
        ),
    ],
)
def test_what_does_not_fit_is_refused(scoring: dict[str, Any], problem: str):
    """A mistake in the section is refused with the field and what is allowed."""
    with pytest.raises(ConfigError) as refused:
        parsed(**scoring)
    assert problem in str(refused.value)
    assert "scoring" in str(refused.value)
