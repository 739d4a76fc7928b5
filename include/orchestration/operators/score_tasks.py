"""What the light tasks of a scoring run do. `dags/score_pipeline.py` says when."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, get_current_context
from airflow.sdk.exceptions import AirflowFailException

from include.orchestration.callbacks.score_ended import notify_scoring
from include.orchestration.runtime.bundle import IMAGE_VARIABLE, git_sha
from include.orchestration.runtime.lineage import report_lineage
from include.orchestration.runtime.run_task import run_task
from include.orchestration.runtime.urls import airflow_url
from include.orchestration.trigger_forms.score_form import read_demand
from include.retraining.config.model import ModelConfig
from include.retraining.config.scoring import Scoring

if TYPE_CHECKING:
    from include.retraining.scoring.result import ScoreResult

log = logging.getLogger(__name__)

RECORDS_READ = 20
"""How many of the newest records are read for inputs that were refused."""


def plan_scoring(config: ModelConfig, scoring: Scoring) -> bool:
    """Pin the input of each partition that is due; return whether there is one."""
    from include.retraining.registry.promotion_log import PromotionLog, serving_of
    from include.retraining.runs.journal import record_run_start
    from include.retraining.scoring.partitions import partitions_to_score
    from include.retraining.scoring.plan import plan_scoring as pin
    from include.retraining.scoring.record import newest_records, refusals

    context = get_current_context()
    with run_task(context) as (store, run):
        demand = read_demand(context, scoring, config.trigger.timezone)
        champion = PromotionLog(store, config.name).champion()
        if champion is None:
            log.info("no version of %s was promoted yet: nothing can score", config.name)
            return False
        refused = refusals(newest_records(store, config.name, RECORDS_READ))
        partitions = partitions_to_score(store, config, champion, replace(demand, refused=refused))
        for partition in partitions:
            log.info("%s: %s", partition.name, partition.why)
        if not partitions:
            log.info("no partition is due: version %s is the champion", champion.version)
            return False
        record_run_start(store, run, airflow=airflow_url())
        plan = pin(
            store,
            config,
            run,
            partitions,
            serving_of(champion),
            now=datetime.now(UTC),
            git_sha=git_sha(context),
            image=os.environ.get(IMAGE_VARIABLE),
        )
        planned = {
            "partitions": [partition.name for partition in plan.partitions],
            "bytes": plan.total_bytes,
            "version": champion.version,
        }
        context["ti"].xcom_push(key="planned", value=planned)
        return True


def record_scores(scores: Asset) -> dict[str, Any]:
    """Record what was scored, and update the asset of the scores.

    Returns:
        `partitions`: for each its name, version, generation, rows and the address of its folder.

    Raises:
        AirflowFailException: when an input was refused; the others are scored and recorded.
    """
    from include.retraining.runs.manifest import current_plan
    from include.retraining.scoring.plan import read_plan
    from include.retraining.scoring.record import record_of_result
    from include.retraining.scoring.result import read_score_result

    context = get_current_context()
    with run_task(context) as (store, run):
        paths = current_plan(store, run.paths)
        plan = read_plan(store, paths)
        result = read_score_result(store, paths, plan)
        record = record_of_result(store, run, result)
    log.info("%s: %s", record.outcome, record.reason)
    notify_scoring(store, record, context)
    event = _event(result)
    if result.partitions:
        report_lineage(
            inputs=[one.input.location for one in plan.partitions],
            outputs=[one.output for one in result.partitions],
        )
        context["outlet_events"][scores].extra.update(event)
    if result.refused:
        raise AirflowFailException(record.reason)
    return event


def _event(result: ScoreResult) -> dict[str, Any]:
    fields = {"name", "version", "generation", "rows", "output"}
    return {
        "partitions": [one.model_dump(mode="json", include=fields) for one in result.partitions]
    }
