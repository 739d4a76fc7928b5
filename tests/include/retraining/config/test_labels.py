"""The section `labels`: what does not fit is named with what is allowed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import yaml

from include.retraining.config.model import load_model, parse_model
from include.retraining.exceptions import ConfigError

SCORING = {
    "input": {"location": "landing/new/{date}", "flag": "landing/new/{date}/_SUCCESS"},
    "output": "scores/{date}",
    "schedule": "*/30 * * * *",
}
IMAGE = "registry.example/train@sha256:" + "0" * 64
LABELS = {"location": "landing/labels/{date}", "delay": "14d"}


def parsed(scoring: dict[str, Any] | None = SCORING, **labels: Any) -> Any:
    """The sample's configuration with a section `labels`."""
    values = load_model("diabetes_progression").model_dump(mode="json")
    values |= {"scoring": scoring, "labels": {**LABELS, **labels}}
    return parse_model(yaml.safe_dump(values), where="toy.yaml")


def test_the_flag_lies_in_the_folder_unless_it_is_named() -> None:
    """A section of a location and a delay is enough."""
    assert parsed().labels.flag_file == "landing/labels/{date}/_SUCCESS"
    assert parsed().labels.delay_time == timedelta(days=14)
    named = parsed(flag="landing/labels/{date}/ready.json").labels
    assert named.flag_file == "landing/labels/{date}/ready.json"


def test_labels_change_nothing_of_what_trains() -> None:
    """Following labels trains no model again."""
    config = parsed()
    without = config.model_copy(update={"labels": None})
    assert config.training_view == without.training_view


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ({"delay": "14"}, "labels.delay"),
        ({"delay": "-1d"}, "labels.delay"),
        ({"delay": "two weeks"}, "labels.delay"),
        ({"location": "../labels/{date}"}, "'..'"),
        ({"flag": "landing/labels/ready.flag"}, "location and flag both hold {date}"),
        ({"flag": "ftp://labels/{date}/x"}, "is not a place"),
        ({"key": "progression"}, "is the label"),
        ({"time": "day"}, "labels.time"),
    ],
)
def test_what_does_not_fit_is_named(labels: dict[str, Any], problem: str) -> None:
    """Each mistake is one line with the field."""
    with pytest.raises(ConfigError, match="labels") as error:
        parsed(**labels)
    assert problem in str(error.value)


@pytest.mark.parametrize(
    "scoring",
    [
        None,
        {
            "input": {"location": "landing/new", "flag": "landing/new/ready.flag"},
            "output": "scores/all",
            "schedule": "@daily",
        },
    ],
)
def test_labels_need_a_scoring_by_day(scoring: dict[str, Any] | None) -> None:
    """Without partitions by day nothing says when a label is due."""
    with pytest.raises(ConfigError, match=r"whose input and output hold \{date\}"):
        parsed(scoring)


def test_labels_on_a_workers_disk_cannot_be_read_elsewhere() -> None:
    """A job on another machine cannot reach them."""
    compute = {
        "backend": "batch",
        "image": IMAGE,
        "queue": "train",
        "job_definition": "train:3",
        "cpu": 1,
        "memory": "2GiB",
    }
    scoring = {**SCORING, "compute": compute}
    with pytest.raises(ConfigError, match="is on the worker's disk"):
        parsed(scoring, location="file:///srv/labels/{date}")
