"""Tests of what starts a run: the asset of the deliveries, other assets, and the clock behind."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable

from include.orchestration.parsing.description import model_page
from include.orchestration.parsing.events import delivery_asset, event_inlets, run_schedule
from include.retraining.config.events import Events
from include.retraining.config.model import ModelConfig, load_model


def started_by(on: dict[str, Any] | None, **trigger: Any) -> ModelConfig:
    """A model that is started by these events."""
    config = load_model("loan_approval")
    update = {"on": None if on is None else Events(**on), **trigger}
    return config.model_copy(update={"trigger": config.trigger.model_copy(update=update)})


def test_without_events_the_schedule_is_as_it_was() -> None:
    """The asset is there for the Assets view, and nothing watches it."""
    config = started_by(None)
    asset = delivery_asset(config)
    assert (asset.name, asset.watchers) == ("loan_approval_delivery", [])
    assert event_inlets(config) == []
    assert isinstance(run_schedule(config), CronTriggerTimetable)
    assert run_schedule(started_by(None, schedule=None)) is None


@pytest.mark.parametrize(
    ("on", "started"),
    [
        ({"delivery": True}, ["loan_approval_delivery"]),
        ({"assets": ["s3://warehouse/loans"]}, ["s3://warehouse/loans"]),
        (
            {"delivery": True, "assets": ["s3://warehouse/loans", "prices"]},
            ["s3://warehouse/loans", "prices", "loan_approval_delivery"],
        ),
    ],
)
def test_any_one_event_starts_a_run_and_the_clock_stays(
    on: dict[str, Any], started: list[str]
) -> None:
    """Several assets are alternatives; the cron expression is the model's."""
    config = started_by(on)
    schedule = run_schedule(config)
    assert isinstance(schedule, AssetOrTimeSchedule)
    assert isinstance(schedule.timetable, CronTriggerTimetable)
    assert [one.name for one in event_inlets(config)] == ["loan_approval_delivery"]
    condition = schedule.asset_condition
    assert type(condition).__name__ == "AssetAny"
    assert [getattr(one, "name", None) or one.uri for one in condition.objects] == started


def test_a_delivery_is_watched_by_our_trigger() -> None:
    """The flag is as in the YAML: only the triggerer knows where the store is."""
    config = started_by({"delivery": True}, flag="landing/{date}/_SUCCESS")
    (watcher,) = delivery_asset(config).watchers
    path, fields = watcher.trigger.serialize()
    assert path == "delivery_events.DeliveryTrigger"
    assert fields == {
        "flag": "landing/{date}/_SUCCESS",
        "timezone": "America/New_York",
        "poke_seconds": 5,
    }


def test_the_page_says_what_starts_a_run() -> None:
    """A reader of the DAG's page sees the events; without any there is no such row."""
    page = model_page(started_by({"delivery": True, "assets": ["s3://warehouse/loans"]}))
    assert "| Starts before, when | its flag lands or `s3://warehouse/loans` changes |" in page
    assert "Starts before" not in model_page(started_by(None))
