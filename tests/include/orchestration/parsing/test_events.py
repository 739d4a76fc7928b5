"""Tests of what starts a run: the asset of the deliveries, other assets, and the clock behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.models import import_all_models
from airflow.models.base import Base
from airflow.models.dag import DagModel
from airflow.models.dagbundle import DagBundleModel
from airflow.models.trigger import Trigger
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable
from airflow.serialization.definitions.dag import SerializedDAG
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session

from include.orchestration.parsing.description import model_page
from include.orchestration.parsing.events import delivery_asset, event_inlets, run_schedule
from include.orchestration.parsing.scoring import input_asset
from include.retraining.config.events import Events
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.config.scoring import Scoring, ScoringInput


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
        "asset": "loan_approval_delivery",
        "flag": "landing/{date}/_SUCCESS",
        "timezone": "America/New_York",
        "poke_seconds": 5,
    }


@pytest.fixture
def database() -> Iterator[Session]:
    """An empty database with Airflow's own tables."""
    engine = create_engine("sqlite://")
    import_all_models()
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(DagBundleModel(name="retraining"))
        yield session


def test_each_asset_has_a_trigger_of_its_own(database: Session) -> None:
    """Airflow runs triggers with equal arguments as one, so those on one flag differ."""
    flag = "landing/loans/ready.flag"
    configs = [started_by({"delivery": True}, flag=flag)]
    configs.append(configs[0].model_copy(update={"name": "arrears"}))
    assets = [delivery_asset(config) for config in configs]
    places = ScoringInput(location="landing/loans", flag=flag)
    assets.append(
        input_asset(configs[0], Scoring(input=places, output="scores/loans", schedule="@hourly"))
    )
    for dag in (DAG(f"of_{asset.name}", schedule=asset) for asset in assets):
        EmptyOperator(task_id="task", dag=dag)
        database.add(DagModel(dag_id=dag.dag_id, is_paused=False, bundle_name="retraining"))
        database.flush()
        SerializedDAG.bulk_write_to_db("retraining", None, [dag], session=database)
    rows = database.scalars(select(Trigger)).all()
    watched = [[one.name for one in row.assets] for row in rows]
    assert sorted(watched) == sorted([asset.name] for asset in assets)


def test_the_page_says_what_starts_a_run() -> None:
    """A reader of the DAG's page sees the events; without any there is no such row."""
    page = model_page(started_by({"delivery": True, "assets": ["s3://warehouse/loans"]}))
    assert "| Starts before, when | its flag lands or `s3://warehouse/loans` changes |" in page
    assert "Starts before" not in model_page(started_by(None))
