"""A DAG for each model that scores: find what is due, score it by the champion, record it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, TriggerRule, dag, task

from include.orchestration.backends.job_task import score_task
from include.orchestration.callbacks.run_ended import stop_run_jobs
from include.orchestration.callbacks.score_ended import record_scoring_failure
from include.orchestration.operators import score_tasks
from include.orchestration.operators.champion_asset import champion_asset
from include.orchestration.parsing.model_dags import scoring_dags
from include.orchestration.parsing.scoring import (
    scores_asset,
    scoring_page,
    scoring_schedule,
    scoring_time_limit,
)
from include.orchestration.trigger_forms.score_form import score_params
from include.retraining.config.model import ModelConfig
from include.retraining.config.scoring import Scoring


def score(config: ModelConfig, scoring: Scoring) -> DAG:
    """Return the DAG that scores with one model's champion."""
    scores = scores_asset(config.name)

    @dag(
        dag_id=config.scoring_dag_id,
        dag_display_name=f"Score by {config.title.lower()}",
        description=f"Scores of {config.title.lower()}, by its champion",
        doc_md=scoring_page(config, scoring),
        schedule=scoring_schedule(config, scoring, champion_asset(config.name)),
        catchup=False,
        # Not one: Airflow keeps an event that comes while a run is active for the next event. The
        # store's claims see to it that no input is scored twice.
        max_active_runs=4,
        dagrun_timeout=scoring_time_limit(scoring),
        tags=["scoring", f"tier/{config.tier}", config.owner],
        on_failure_callback=[record_scoring_failure, stop_run_jobs],
        default_args={
            "owner": config.owner,
            "retries": 2,  # of infrastructure errors; what would fail again fails at once
            "retry_delay": timedelta(minutes=1),
            "on_failure_callback": [record_scoring_failure],
        },
    )
    def score_model() -> None:
        @task.short_circuit(task_display_name="What is to be scored?")
        def plan_scoring() -> bool:
            return score_tasks.plan_scoring(config, scoring)

        # An operator: it waits without a worker, and adopts or ends the job of an earlier try.
        score_input = score_task(scoring.compute)

        # Green also where something was refused: only then Airflow emits the event of the others.
        @task(task_display_name="Record the scores", outlets=[scores], multiple_outputs=False)
        def record_scores() -> dict[str, Any]:
            return score_tasks.record_scores(scores)

        @task(task_display_name="Was everything scored?", trigger_rule=TriggerRule.NONE_FAILED)
        def require_all_scored() -> None:
            score_tasks.require_all_scored()

        plan_scoring() >> score_input >> record_scores() >> require_all_scored()

    model_dag: DAG = score_model()
    model_dag.params.update(score_params())  # now: before, each task gets a copy and checks it
    return model_dag


DAGS = scoring_dags(score)  # in a running task, its own only
