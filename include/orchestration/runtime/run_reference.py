"""The core's reference to a run, from what Airflow hands to a task or a callback."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from airflow.sdk import Context

from include.retraining.exceptions import NotFound

if TYPE_CHECKING:
    from airflow.sdk.types import DagRunProtocol

    from include.retraining.runs.reference import RunRef
    from include.retraining.store.layout import RunKind

DAG_PREFIX = "retrain_"
SCORING_PREFIX = "score_"


def model_of(dag_id: str) -> str:
    """Return the name of the model that a DAG retrains, or whose champion it scores with."""
    if dag_id.startswith(DAG_PREFIX):
        return dag_id.removeprefix(DAG_PREFIX)
    return dag_id.removeprefix(SCORING_PREFIX)


def kind_of(dag_id: str) -> RunKind:
    """Return what a DAG's runs are for."""
    return "scoring" if dag_id.startswith(SCORING_PREFIX) else "runs"


def run_reference(context: Context) -> RunRef:
    """Return the run of a task's or a DAG callback's context.

    Raises:
        NotFound: in a callback that Airflow gave no run to, when the time the run was due cannot
            be read from its id either.
    """
    from include.retraining.runs.manifest import TriggeredBy
    from include.retraining.runs.reference import RunRef

    dag_id = context["dag"].dag_id
    dag_run = context.get("dag_run")
    if dag_run is not None:
        return reference_to(dag_id, dag_run)
    return RunRef(
        model=model_of(dag_id),
        dag_id=dag_id,
        run_id=context["run_id"],
        run_after=_time_in(context["run_id"]),
        clear=0,
        cause=TriggeredBy(run_type=context["run_id"].partition("__")[0]),
        kind=kind_of(dag_id),
    )


def reference_to(dag_id: str, dag_run: DagRunProtocol) -> RunRef:
    """Return a run of a DAG as Airflow's task SDK describes it."""
    from include.retraining.runs.manifest import TriggeredBy
    from include.retraining.runs.reference import RunRef

    return RunRef(
        model=model_of(dag_id),
        dag_id=dag_id,
        run_id=dag_run.run_id,
        run_after=dag_run.run_after,
        clear=dag_run.clear_number or 0,
        cause=TriggeredBy(
            run_type=str(getattr(dag_run.run_type, "value", dag_run.run_type)),
            user=dag_run.triggering_user_name,
        ),
        kind=kind_of(dag_id),
    )


def attempt_id(context: Context) -> str:
    """Return an id for this try of a task, unique within the run."""
    dag_run = context["dag_run"]
    return f"{dag_run.clear_number or 0}-{context['ti'].try_number}"


def _time_in(run_id: str) -> datetime:
    match = re.search(r"__(\d{4}-\d\d-\d\dT[0-9:.]+(?:\+00:00|Z))", run_id)
    if match is None:
        raise NotFound(f"run {run_id!r}: Airflow did not say when it was due")
    return datetime.fromisoformat(match[1].replace("Z", "+00:00"))
