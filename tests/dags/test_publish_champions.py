"""Tests of the DAG that publishes champions: it is there where a YAML has `publish:`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.sdk import DAG, AssetAny
from airflow.serialization.serialized_objects import DagSerialization

from include.orchestration.publishing import tasks
from include.orchestration.publishing.alert import notify_failed_publishing
from include.retraining.config import model
from tests.support.repository_copy import REPOSITORY

# Airflow's own use of a library.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


def parsed() -> dict[str, DAG]:
    """Return the DAGs that the file makes now."""
    file = REPOSITORY / "dags" / "publish_champions.py"
    bag = BundleDagBag(dag_folder=file, bundle_path=REPOSITORY, bundle_name="retraining")
    assert bag.import_errors == {}
    dags: dict[str, DAG] = bag.dags
    return dags


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the models that ship."""
    folder = tmp_path / "models"
    shutil.copytree(model.MODELS_FOLDER, folder)
    monkeypatch.setattr(tasks, "MODELS_FOLDER", folder)
    monkeypatch.setattr(tasks, "model_names", lambda: model.model_names(folder))
    return folder


def test_where_nothing_is_published_there_is_no_dag(models: Path) -> None:
    """It would take a worker every five minutes for nothing."""
    for file in models.glob("*.yaml"):
        file.write_text(file.read_text().partition("\npublish:")[0])
    assert parsed() == {}


def test_it_starts_with_a_champions_asset_and_every_five_minutes(models: Path) -> None:
    """Of the models that are published, one after the other, and nobody has to unpause it."""
    for name, quote in (("loan_approval", ""), ("diabetes_progression", '"')):
        with (models / f"{name}.yaml").open("a") as file:
            file.write(f"\n{quote}publish{quote}: {{webhook: {{}}}}\n")
    dag = parsed()["publish_champions"]
    schedule: Any = dag.timetable
    assert isinstance(schedule.asset_condition, AssetAny)
    names = {asset.name for asset in schedule.asset_condition.objects}
    assert names == {"loan_approval_champion", "diabetes_progression_champion"}
    assert schedule.timetable.expression == "*/5 * * * *"
    assert (dag.is_paused_upon_creation, dag.catchup, dag.max_active_runs) == (False, False, 1)
    assert dag.on_failure_callback == [notify_failed_publishing]
    assert json.dumps(DagSerialization.to_dict(dag))
