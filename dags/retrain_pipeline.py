"""## How a run goes.

The run waits for a complete delivery, pins it, checks it, trains a challenger, scores challenger
and champion on the same holdout, and lets the challenger serve only when every gate passes.
Each run leaves one decision record in the store, a "no" included.

Parameters: `dry_run` decides and changes nothing; `force_retrain` (with a `reason`) trains although
nothing changed; `date` chooses the data of another day.

## Triage

- **Red at "Refused"**: no fault of the pipeline. The reason is the first line of that task's log
  and in the message. The champion still serves. Nothing needs to be done today.
- **Red at "Wait for the data"**: the delivery did not come, or is not complete; the log says which
  file. Ask the producer. Once it is there, clear this task.
- **Red at "Check the data"**: the data breaks its contract. Ask the producer to deliver again, flag
  last; the next run takes it. Clearing the task reads the same files again.
- **Waiting at "Ask a person"**: the gate said yes, and a person must answer: "Required actions" of
  that task shows the evidence. Approve with a note, or reject. No answer in time is a no.
- **Red elsewhere**: the log's first error is one sentence. Infrastructure errors were retried twice
  already. Clearing the failed task keeps the verified steps before it.
- **"Late"** in a message: no decision by the model's deadline. Look at the task that is not done.
- **"Nothing changed" is green**: the same data, code and configuration were decided on before.
- **To undo a promotion**: trigger the DAG `rollback_model`, with its dry run first.
"""

from __future__ import annotations

import logging

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Label, get_parsing_context

from include.orchestration.backends.job_task import job_task
from include.orchestration.dag.description import model_page
from include.orchestration.dag.executors import check_executors
from include.orchestration.dag.invalid_config import unreadable_model
from include.orchestration.dag.schedule import run_deadline, run_time_limit, timetable
from include.orchestration.forms.run_form import run_params
from include.orchestration.notifications.run_ended import close_ended_run, say_that_card_is_missing
from include.orchestration.operators.abort_pipeline import AbortPipelineOperator
from include.orchestration.operators.approve_promotion import ApprovePromotionOperator
from include.orchestration.operators.check_quality import CheckQualityOperator
from include.orchestration.operators.deploy_model import DeployModelOperator
from include.orchestration.operators.note_cleared import note_cleared
from include.orchestration.operators.plan_run import PlanRunOperator
from include.orchestration.operators.wait_for_data import FlagSensor
from include.orchestration.runtime.run_reference import DAG_PREFIX, model_of
from include.retraining.config.model import ModelConfig, load_model, model_names
from include.retraining.exceptions import RetrainingError

log = logging.getLogger(__name__)


def retrain(config: ModelConfig) -> DAG:
    """Return the DAG that retrains one model."""
    with DAG(
        dag_id=config.dag_id,
        dag_display_name=f"Retrain {config.title.lower()}",
        description=config.title,
        doc_md=f"{model_page(config)}\n{__doc__}",
        schedule=timetable(config),
        catchup=False,
        max_active_runs=1,
        params=run_params(),
        dagrun_timeout=run_time_limit(config),
        deadline=run_deadline(config),
        tags=["retraining", f"tier/{config.tier}", config.owner],
        # On the DAG too, because no task callback comes when a process is killed.
        on_failure_callback=close_ended_run,
        on_success_callback=close_ended_run,
        # Infrastructure errors only: whatever would fail again fails at once. The time between two
        # tries is Airflow's own setting, core.default_task_retry_delay: five minutes.
        default_args={
            "owner": config.owner,
            "retries": 2,
            "on_execute_callback": note_cleared,
            "on_failure_callback": close_ended_run,
        },
    ) as dag:
        compute = config.compute
        approval = "approve_promotion" if config.approval == "required" else None
        wait_for_data = FlagSensor(
            task_id="wait_for_data", task_display_name="Wait for the data", config=config
        )
        plan_run = PlanRunOperator(
            task_id="plan_run",
            task_display_name="Pin data and code",
            config=config,
            when_new="validate_data",
            when_unchanged="no_change",
        )
        no_change = EmptyOperator(
            task_id="no_change",
            task_display_name="Nothing changed",
            on_execute_callback=None,  # with one, it would take a worker to do nothing
        )
        validate_data = job_task(
            "validate",
            compute,
            task_id="validate_data",
            task_display_name="Check the data",
        )
        train_model = job_task(
            "train",
            compute,
            task_id="train_model",
            task_display_name="Train a challenger",
            pool="training",  # a few at a time, however many models there are
        )
        evaluate_model = job_task(
            "evaluate",
            compute,
            task_id="evaluate_model",
            task_display_name="Score challenger and champion",
        )
        check_quality = CheckQualityOperator(
            task_id="check_quality",
            task_display_name="Ask the gate",
            when_passed=[approval or "deploy_model", "publish_card"],
            when_refused=["abort_pipeline", "publish_card"],
        )
        deploy_model = DeployModelOperator(
            task_id="deploy_model", task_display_name="Let it serve", model=config.name
        )
        abort_pipeline = AbortPipelineOperator(
            task_id="abort_pipeline",
            task_display_name="Refused",
            is_failure=config.gates.on_rejection == "fail",
            # Behind the approval, which is skipped when the gate itself said no.
            trigger_rule="none_failed_min_one_success" if approval else "all_success",
        )
        publish_card = job_task(
            "card",
            compute,
            task_id="publish_card",
            task_display_name="Publish the model card",
            on_failure_callback=say_that_card_is_missing,  # it must not close the run
        )

        wait_for_data >> plan_run
        plan_run >> Label("nothing changed") >> no_change
        plan_run >> Label("new data, code or config") >> validate_data
        validate_data >> train_model >> evaluate_model >> check_quality
        # The edge that protects production: nothing else leads to the promotion.
        if approval is None:
            check_quality >> Label("every gate passed") >> deploy_model
        else:
            approve_promotion = ApprovePromotionOperator(
                task_id=approval,
                task_display_name="Ask a person",
                title=config.title,
                hours=config.approval_hours,
                when_approved="deploy_model",
                when_rejected="abort_pipeline",
            )
            check_quality >> Label("every gate passed") >> approve_promotion
            approve_promotion >> Label("approved") >> deploy_model
            approve_promotion >> Label("rejected, or no answer") >> abort_pipeline
        check_quality >> Label("a gate said no, or cannot judge") >> abort_pipeline
        check_quality >> publish_card
    return dag


def model_dag(name: str) -> DAG:
    """Return a model's DAG; when its configuration is wrong, one that only says so."""
    try:
        config = load_model(name)
        check_executors(config)
        return retrain(config)
    except (RetrainingError, OSError, ValueError) as error:
        log.warning("%s%s only says what is wrong: %s", DAG_PREFIX, name, error)
        return unreadable_model(name, str(error))


# A running task builds its own DAG only: what it pays does not grow with the number of models.
RUNNING = get_parsing_context().dag_id
NAMES = model_names() if RUNNING is None else [model_of(RUNNING)]
DAGS = [model_dag(name) for name in NAMES]  # Airflow finds a DAG by its having been made here
