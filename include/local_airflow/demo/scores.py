"""The part of the demonstration that scores: a promotion starts `score_NAME`, by its asset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from include.local_airflow.cluster import LocalAirflow
from include.local_airflow.demo import samples
from include.local_airflow.rest_client import RUN_ENDED, AirflowSession
from include.retraining.config.model import load_model
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.scoring.record import ScoreOutcome, ScoreRecord, newest_records
from include.retraining.store.object_store import Store

SCORE_SECONDS = 300.0
RECORDS_READ = 5


@dataclass(frozen=True)
class ScoredRun:
    """What a scoring run left, and whether it ended in Airflow as its record says."""

    record: ScoreRecord
    is_good: bool


def scoring_dag_ids() -> list[str]:
    """Return the DAGs that score with the sample models."""
    return [load_model(model).scoring_dag_id for model in samples.INPUTS]


def wait_for_scores(
    airflow: LocalAirflow,
    api: AirflowSession,
    store: Store,
    model: str,
    *,
    is_followed: bool,
    since: datetime,
) -> ScoredRun | None:
    """Return what the champion of a model scored, once it has.

    Args:
        airflow: the running Airflow.
        api: a client of it.
        store: with the records.
        model: the model's name.
        is_followed: whether this session ran the model, so that a promotion started the scoring.
        since: when this session began.

    Returns:
        None for a model without a champion.

    Raises:
        TookTooLong: when no scoring run ended.
    """
    champion = PromotionLog(store, model).serving()
    if champion is None:
        return None
    dag_id, version = load_model(model).scoring_dag_id, champion.version
    record = _record_of(store, model, version, since)
    if record is None:
        if not is_followed:  # an earlier session ended between its promotion and the scores
            api.trigger(dag_id, run_id=f"make_run_{since:%Y%m%dT%H%M%S}")
        record = airflow.wait_for(
            lambda: _record_of(store, model, version, since),
            f"scores by version {version} (DAG {dag_id})",
            SCORE_SECONDS,
        )
    if record.created_at < since:
        return ScoredRun(record, is_good=True)
    state = airflow.wait_for(
        lambda: _ended_state(api, dag_id, record.run_id), f"end of {dag_id}", SCORE_SECONDS
    )
    is_scored = record.outcome is ScoreOutcome.SCORED
    return ScoredRun(record, is_good=state == ("success" if is_scored else "failed"))


def _record_of(store: Store, model: str, version: str, since: datetime) -> ScoreRecord | None:
    """Return the newest record of what a version scored, or that this session's run failed."""
    for record in newest_records(store, model, RECORDS_READ):
        versions = {one.version for one in record.partitions}
        versions |= {one.version for one in record.refused}
        has_failed = record.outcome is ScoreOutcome.FAILED and record.created_at >= since
        if version in versions or has_failed:
            return record
    return None


def _ended_state(api: AirflowSession, dag_id: str, run_id: str) -> str | None:
    state = str(api.run(dag_id, run_id)["state"])
    return state if state in RUN_ENDED else None
