"""Tests of which run a task or a callback belongs to."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG
from airflow.utils.types import DagRunType

from include.orchestration.runtime.run_reference import attempt_id, run_reference
from include.orchestration.runtime.urls import run_url
from include.retraining.exceptions import NotFound
from tests.support.contexts import MakeContext


def test_a_tasks_run_is_known_in_full(context: MakeContext) -> None:
    """Model, ids, time, clear and cause come from the DAG run."""
    run = run_reference(context(run_id="x", clear=2))
    assert (run.model, run.dag_id) == ("diabetes_progression", "retrain_diabetes_progression")
    assert (run.run_id, run.clear) == ("x", 2)
    assert run.run_after == datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
    assert (run.cause.run_type, run.cause.user) == ("manual", "ada")


def test_a_run_type_is_airflows_word(context: MakeContext) -> None:
    """An enum member becomes its value."""
    now = context()
    now["dag_run"].run_type = DagRunType.SCHEDULED
    assert run_reference(now).cause.run_type == "scheduled"


def test_every_try_has_a_word_of_its_own(context: MakeContext) -> None:
    """Clearing starts the tries' names anew, so both numbers count."""
    words = {attempt_id(context(clear=c, try_number=t)) for c in (0, 1) for t in (1, 2)}
    assert words == {"0-1", "0-2", "1-1", "1-2"}


@pytest.mark.parametrize(
    ("run_id", "time"),
    [
        ("scheduled__2026-11-24T06:00:00+00:00", datetime(2026, 11, 24, 6, tzinfo=UTC)),
        ("manual__2026-11-24T06:00:00.5+00:00", datetime(2026, 11, 24, 6, 0, 0, 500000, UTC)),
    ],
)
def test_the_time_is_read_from_the_run_id_when_airflow_gives_no_run(
    run_id: str, time: datetime
) -> None:
    """In a DAG's callback there may be nothing but the ids."""
    dag = DAG("retrain_loan_approval", schedule=None)
    run = run_reference({"dag": dag, "run_id": run_id, "reason": "task_failure"})  # type: ignore[typeddict-unknown-key, typeddict-item]
    assert (run.model, run.run_after) == ("loan_approval", time)


def test_a_run_of_unknown_time_is_refused() -> None:
    """A made-up time would give the run a second record."""
    dag = SimpleNamespace(dag_id="retrain_loan_approval")
    with pytest.raises(NotFound, match="run 'by-hand': Airflow did not say when it was due"):
        run_reference({"dag": dag, "run_id": "by-hand"})  # type: ignore[typeddict-item]


def test_a_runs_page_is_escaped() -> None:
    """A run id holds ':' and '+', which a browser would read differently."""
    url = run_url("retrain_x", "manual__2026-11-24T06:00:00+00:00")
    assert url.endswith("/dags/retrain_x/runs/manual__2026-11-24T06%3A00%3A00%2B00%3A00")
