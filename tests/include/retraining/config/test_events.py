"""Tests of `trigger.on`: what may start a run, and the words for what may not."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from include.retraining.config.model import MODELS_FOLDER, ModelConfig, parse_model
from include.retraining.exceptions import ConfigError

SHIPPED = (MODELS_FOLDER / "loan_approval.yaml").read_text()


def parse(on: str, *, schedule: str = '"0 6 * * *"') -> ModelConfig:
    """Parse the model that ships, with a line `on:` as someone would type it."""
    text = SHIPPED.replace('  schedule: "0 6 * * *"\n', f"  schedule: {schedule}\n  on: {on}\n")
    return parse_model(text, where="toy.yaml")


def test_a_model_without_it_starts_by_its_schedule_alone() -> None:
    """`on` is optional, and its absence means what it meant before."""
    assert parse_model(SHIPPED, where="toy.yaml").trigger.on is None


def test_the_word_on_is_the_name_of_the_field() -> None:
    """YAML 1.1 reads a bare `on` as true; here it is a field's name."""
    assert yaml.safe_load("on: 1") == {True: 1}
    on = parse("{delivery: true, assets: [s3://warehouse/loans]}").trigger.on
    assert on is not None
    assert (on.delivery, on.assets) == (True, ("s3://warehouse/loans",))


@pytest.mark.parametrize(
    ("on", "says"),
    [
        ("{}", "trigger.on: names no event: give `delivery: true`, `assets: [URI, …]` or both"),
        ("{delivery: false}", "trigger.on: names no event"),
        ("delivery", "trigger.on: "),
        ("{assets: [the loans]}", "trigger.on.assets: 'the loans' is not the URI of an asset"),
        ("{assets: ['']}", "trigger.on.assets.0: "),
        ('{assets: ["airflow://x"]}', "trigger.on.assets: 'airflow://x': Airflow keeps"),
        ("{assets: [a, a]}", "trigger.on.assets: an asset is named twice"),
        ("{assets: [loan_approval_champion]}", "trigger.on.assets: loan_approval_champion is what"),
        ("{assets: [loan_approval_delivery]}", "loan_approval_delivery: write `delivery: true`"),
        ("{queue: https://sqs.eu-west-3.amazonaws.com/1/q}", "trigger.on.queue: is not a field"),
    ],
)
def test_bad_events_have_their_words(on: str, says: str) -> None:
    """The error names the field, what is wrong and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        parse(on)
    assert says in str(caught.value)
    assert str(caught.value).startswith("toy.yaml: ")


@pytest.mark.parametrize("schedule", ["null", "~"])
def test_events_need_a_clock_behind_them(schedule: str) -> None:
    """An event can get lost, and then only the schedule finds the delivery."""
    with pytest.raises(ConfigError, match="trigger: `on` needs a `schedule` beside it"):
        parse("{delivery: true}", schedule=schedule)


def test_no_schedule_is_written_null() -> None:
    """The word none is no schedule either, and the error says what is."""
    with pytest.raises(ConfigError, match=r"'none' is not a cron expression .* allowed too: null"):
        parse("{delivery: true}", schedule="none")


def test_what_starts_a_run_changes_no_model() -> None:
    """The part of the YAML that is trained by is the same."""
    before: dict[str, Any] = parse_model(SHIPPED, where="toy.yaml").training_view
    assert parse("{delivery: true}").training_view == before
