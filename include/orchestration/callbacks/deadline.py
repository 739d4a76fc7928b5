"""The notice that a run is late. Called in the triggerer, some time after the run's start."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Context
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import GetDagRunState

from include.orchestration.callbacks.send import deliver_notice
from include.orchestration.runtime.dag_runs import ENDED
from include.orchestration.runtime.run_reference import model_of
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.urls import repository_url, run_url
from include.retraining.config.model import load_model
from include.retraining.exceptions import RetrainingError
from include.retraining.formatting.text import default_title

if TYPE_CHECKING:
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)


def tell_late(dag_run: Mapping[str, Any], deadline: str) -> str:
    """Notify that a run has not decided, unless it has or waits for approval; return what was done.

    Airflow calls this once, also for a run that has ended meanwhile, and does not try again: what
    Slack does not take waits in the outbox.

    Args:
        dag_run: the run as Airflow's REST API describes it, at the time of the deadline.
        deadline: in the words of the model's YAML.

    Raises:
        RetrainingError: when the store cannot be asked; Airflow keeps it with the deadline.
    """
    from include.retraining.notifications.notice import Links
    from include.retraining.store.layout import RunPaths, run_key
    from include.retraining.watch.late import has_decided, late_notice, waits_for_person

    dag_id, run_id = str(dag_run["dag_id"]), str(dag_run["dag_run_id"])
    model = model_of(dag_id)
    due = datetime.fromisoformat(str(dag_run["run_after"]))
    paths = RunPaths(model, run_key(run_id, due))
    state = _state_now(dag_id, run_id) or str(dag_run["state"])
    if state in ENDED:
        return f"{run_id} has ended: {state}"
    store = open_store()
    if has_decided(store, paths):
        return f"{run_id} has decided"
    if waits_for_person(store, paths):
        return f"{run_id} waits for a person"
    try:
        config = load_model(model)
    except RetrainingError:  # its YAML was broken under the run
        title, owner = default_title(model), None
    else:
        title, owner = config.title, config.owner
    notice = late_notice(
        model=model,
        run=paths.run,
        title=title,
        owner=owner,
        deadline=deadline,
        state=state,
        serving=_serving(store, model),
        links=Links(run=run_url(dag_id, run_id), repository=repository_url(cast("Context", {}))),
    )
    deliver_notice(store, notice)
    return f"{run_id} is late"


def _state_now(dag_id: str, run_id: str) -> str | None:
    """Return the run's state, or None when Airflow does not say it."""
    try:
        response: Any = task_runner.SUPERVISOR_COMMS.send(
            GetDagRunState(dag_id=dag_id, run_id=run_id)
        )
        return str(getattr(response.state, "value", response.state))
    except Exception as error:  # noqa: BLE001 then the state at the deadline counts
        log.warning("Airflow does not say how %s is: %s", run_id, error)
        return None


def _serving(store: Store, model: str) -> str:
    from include.retraining.notifications.notice import serving_now
    from include.retraining.registry.promotion_log import PromotionLog

    log_of_model = PromotionLog(store, model)
    return serving_now(log_of_model, log_of_model.champion())
