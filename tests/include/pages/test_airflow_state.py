"""What the pages know of DAGs, from Airflow's own database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.include.pages.conftest import Reader

DUE = datetime(2026, 11, 28, 6, 0, tzinfo=UTC)
RUN_AFTER = datetime(2026, 11, 27, 6, 0, tzinfo=UTC)


@pytest.fixture
def dags(airflow_app: Any) -> Iterator[None]:
    """Three DAGs: one that runs, one paused with a run in the queue, one whose file is gone."""
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    states = {
        "retrain_runs": (False, False),
        "retrain_paused": (True, False),
        "retrain_gone": (False, True),
    }
    with create_session() as session:
        session.add(DagBundleModel(name="retraining"))
        session.flush()
        for dag_id, (is_paused, is_stale) in states.items():
            session.add(
                DagModel(
                    dag_id=dag_id,
                    bundle_name="retraining",
                    is_paused=is_paused,
                    is_stale=is_stale,
                    next_dagrun_create_after=DUE,
                )
            )
        session.flush()
        runs = {"retrain_runs": DagRunState.RUNNING, "retrain_paused": DagRunState.QUEUED}
        for dag_id, state in runs.items():
            session.add(
                DagRun(
                    dag_id=dag_id,
                    run_id="manual__1",
                    run_after=RUN_AFTER,
                    run_type=DagRunType.MANUAL,
                    state=state,
                )
            )
    yield
    with create_session() as session:
        session.query(DagRun).delete()
        session.query(DagModel).delete()
        session.query(DagBundleModel).delete()


def test_a_dag_is_seen_as_airflow_has_it(dags: None) -> None:
    """Its next run unless it is paused, a run that goes on, and none for a file that is gone."""
    from include.pages.airflow_state import due, model_dag_ids, read_dags

    assert model_dag_ids() == {"retrain_runs", "retrain_paused"}
    seen = read_dags(["retrain_runs", "retrain_paused", "retrain_gone", "retrain_never"])
    assert [seen[name].is_there for name in seen] == [True, True, False, False]
    runs, paused = seen["retrain_runs"], seen["retrain_paused"]
    assert (runs.next_run, runs.running, runs.waits_for_person) == (DUE, "manual__1", None)
    assert (paused.is_paused, paused.next_run, paused.running) == (True, None, None)
    assert due("retrain_runs", "manual__1") == RUN_AFTER
    assert due("retrain_runs", "manual__2") is None


def test_a_model_that_never_ran_is_listed(dags: None, user: Reader, store: Any) -> None:
    """Its DAG is there, and the store knows nothing of it yet."""
    page = user.get("/models").text
    assert "retraining/models/runs" in page
    assert "No run has ended yet." in page
    answer = user.get("/models/paused")
    assert answer.status_code == 200
    assert "none: the DAG is paused" in answer.text


def test_a_run_that_is_not_planned_yet_has_a_page(dags: None, user: Reader, store: Any) -> None:
    """Who has just sent the form lands there, and reads what the run waits for."""
    tab = "/run?dag_id=retrain_runs&run_id=manual__"
    answer = user.get(f"{tab}1")
    assert answer.status_code == 200
    assert "It is not planned yet: it waits for its turn or for its data." in answer.text
    assert user.get(f"{tab}2").status_code == 404
