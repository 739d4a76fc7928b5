"""What the light tasks of a scoring run do. `dags/score_pipeline.py` says when."""

from __future__ import annotations

import logging
import os
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.orchestration.callbacks.score_ended import notify_scoring
from include.orchestration.runtime.bundle import IMAGE_VARIABLE, git_sha
from include.orchestration.runtime.lineage import report_lineage
from include.orchestration.runtime.run_task import run_task
from include.orchestration.runtime.urls import airflow_url
from include.orchestration.trigger_forms.score_form import read_demand
from include.retraining.config.model import ModelConfig
from include.retraining.config.scoring import Scoring
from include.retraining.exceptions import RetrainingError

if TYPE_CHECKING:
    from include.retraining.runs.reference import RunRef
    from include.retraining.scoring.plan import ScorePlan
    from include.retraining.scoring.refusals import RefusedPartition
    from include.retraining.scoring.result import ScoreResult
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)


def plan_scoring(config: ModelConfig, scoring: Scoring) -> bool:
    """Pin the input of each partition that is due; return whether there is one, or labels came.

    Raises:
        AirflowFailException: when all that is due are inputs that cannot be accepted.
    """
    from include.retraining.registry.promotion_log import PromotionLog, serving_of
    from include.retraining.runs.journal import record_run_start
    from include.retraining.scoring.partitions import partitions_to_score
    from include.retraining.scoring.plan import plan_scoring as pin

    context = get_current_context()
    with run_task(context) as (store, run):
        demand = read_demand(context, scoring, config.trigger.timezone)
        champion = PromotionLog(store, config.name).champion()
        if champion is None:
            log.info("no version of %s was promoted yet: nothing can score", config.name)
            return False
        due = partitions_to_score(store, config, champion, demand)
        windows = () if demand.only else _windows_due(store, config, demand.today)
        for partition in due.partitions:
            log.info("%s: %s", partition.name, partition.why)
        if not due.partitions and not windows:
            _fail_if_refused(store, run, due.refused)
            log.info("no partition is due: version %s is the champion", champion.version)
            return False
        record_run_start(store, run, airflow=airflow_url())
        plan = pin(
            store,
            config,
            run,
            due,
            serving_of(champion),
            now=datetime.now(UTC),
            windows=windows,
            git_sha=git_sha(context),
            image=os.environ.get(IMAGE_VARIABLE),
        )
        context["ti"].xcom_push(key="planned", value=_planned(plan))
        return True


def record_scores(scores: Asset) -> dict[str, Any]:
    """Record what was scored, and update the asset of the scores.

    Returns:
        `partitions`: for each its name, version, generation, rows and the address of its folder.

    Raises:
        AirflowSkipException: when nothing was scored, of which there is no event.
    """
    from include.retraining.runs.manifest import current_plan
    from include.retraining.scoring.plan import read_plan
    from include.retraining.scoring.record import record_of_result
    from include.retraining.scoring.refusals import keep_refusals
    from include.retraining.scoring.result import read_score_result

    context = get_current_context()
    with run_task(context) as (store, run):
        paths = current_plan(store, run.paths)
        plan = read_plan(store, paths)
        result = read_score_result(store, paths, plan)
        record = record_of_result(store, run, result)
        log.info("%s: %s", record.outcome, record.reason)
        notify_scoring(store, record, context)
        keep_refusals(store, run.model, result.refused)
    if not result.partitions:
        raise AirflowSkipException(record.reason)
    event = _event(result)
    report_lineage(
        inputs=[one.input.location for one in plan.partitions],
        outputs=[one.output for one in result.partitions],
    )
    context["outlet_events"][scores].extra.update(event)
    return event


def require_all_scored() -> None:
    """Fail where something was not scored: by now the rest is recorded and announced.

    Raises:
        AirflowFailException: with what was refused or failed.
    """
    from include.retraining.runs.manifest import current_plan
    from include.retraining.scoring.plan import read_plan
    from include.retraining.scoring.record import reason_of
    from include.retraining.scoring.result import read_score_result

    with run_task(get_current_context()) as (store, run):
        paths = current_plan(store, run.paths)
        result = read_score_result(store, paths, read_plan(store, paths))
        if result.refused or result.failed:
            raise AirflowFailException(reason_of(result))


def _windows_due(store: Store, config: ModelConfig, today: date) -> tuple[str, ...]:
    """Return what is to be graded by its labels; nothing where that cannot be read now."""
    from include.retraining.monitoring.label_windows import windows_due

    try:
        windows = tuple(str(window) for window in windows_due(store, config, today))
    except RetrainingError as error:  # which must not keep what is due from being scored
        log.warning("whether labels came cannot be read: %s", error)
        return ()
    for window in windows:
        log.info("%s: its labels are there", window)
    return windows


def _planned(plan: ScorePlan) -> dict[str, Any]:
    """Return what a plan pinned, for those who follow the run in Airflow."""
    return {
        "partitions": [partition.name for partition in plan.partitions],
        "bytes": plan.total_bytes,
        "version": plan.champion.version,
        "windows": list(plan.windows),
    }


def _fail_if_refused(store: Store, run: RunRef, refused: tuple[RefusedPartition, ...]) -> None:
    """Record inputs that cannot be accepted, notify, and fail; return when there are none."""
    from include.retraining.scoring.record import record_of_refusals
    from include.retraining.scoring.refusals import keep_refusals

    if refused:
        context = get_current_context()
        record = record_of_refusals(store, run, refused, failed_task="plan_scoring")
        notify_scoring(store, record, context)
        keep_refusals(store, run.model, refused)
        raise AirflowFailException(record.reason)


def _event(result: ScoreResult) -> dict[str, Any]:
    fields = {"name", "version", "generation", "rows", "output"}
    return {
        "partitions": [one.model_dump(mode="json", include=fields) for one in result.partitions]
    }
