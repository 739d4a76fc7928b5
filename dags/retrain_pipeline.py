"""A DAG for each model: wait for data, train a challenger, and promote it only if it passes."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Label, dag, task

from include.orchestration.backends.job_task import job_task
from include.orchestration.callbacks.notifiers import DecisionNotifier, MissingCardNotifier
from include.orchestration.callbacks.run_ended import record_run_end, stop_run_jobs
from include.orchestration.operators import run_tasks
from include.orchestration.operators.approve_promotion import ApprovePromotionOperator
from include.orchestration.operators.champion_asset import champion_asset
from include.orchestration.operators.grade_champion import grade_champion
from include.orchestration.operators.note_cleared import note_cleared
from include.orchestration.operators.wait_for_data import FlagSensor
from include.orchestration.parsing.description import model_page
from include.orchestration.parsing.events import event_inlets, run_schedule
from include.orchestration.parsing.model_dags import model_dags
from include.orchestration.parsing.schedule import run_deadline, run_time_limit
from include.orchestration.trigger_forms.run_form import run_params
from include.retraining.config.model import ModelConfig

# Airflow tries each, even when another one failed.
ENDED: list[Any] = [record_run_end, DecisionNotifier()]
FAILED = [*ENDED, stop_run_jobs]


def retrain(config: ModelConfig) -> DAG:
    """Return the DAG that retrains one model."""
    needs_approval = config.approval == "required"
    after_gate = "approve_promotion" if needs_approval else "deploy_model"
    # The approval is skipped when the gate itself rejects.
    after_rejection = "none_failed_min_one_success" if needs_approval else "all_success"
    asset = champion_asset(config.name)

    @dag(
        dag_id=config.dag_id,
        dag_display_name=f"Retrain: {config.title}",
        description=config.title,
        doc_md=model_page(config),
        schedule=run_schedule(config),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=run_time_limit(config),
        deadline=run_deadline(config),
        tags=["retraining", f"tier/{config.tier}", config.owner],
        on_failure_callback=FAILED,  # here too: no task's callback comes when a process is killed
        on_success_callback=ENDED,
        default_args={
            "owner": config.owner,
            "retries": 2,  # of infrastructure errors; what would fail again fails at once
            "on_execute_callback": note_cleared,
            "on_failure_callback": ENDED,
        },
    )
    def retrain_model() -> None:
        wait_for_data = FlagSensor(
            task_id="wait_for_data", task_display_name="Wait for the data", config=config
        )

        @task.branch(task_display_name="Pin data and code", inlets=event_inlets(config))
        def plan_run() -> str:
            return "validate_data" if run_tasks.plan_run(config) else "no_change"

        no_change = EmptyOperator(
            task_id="no_change",
            task_display_name="Nothing changed",
            on_execute_callback=None,  # with one, it would take a worker to do nothing
        )
        # Operators: they wait without a worker, and adopt or end the job of an earlier try.
        validate_data = job_task("validate", config.compute)
        train_model = job_task("train", config.compute, pool="training")  # a few at a time
        evaluate_model = job_task("evaluate", config.compute)
        publish_card = job_task("card", config.compute, on_failure_callback=MissingCardNotifier())

        @task.branch(task_display_name="Quality gate")
        def check_quality(evaluated: Any) -> list[str]:
            has_passed = run_tasks.check_quality(evaluated)
            return [after_gate if has_passed else "abort_pipeline", "publish_card"]

        @task(task_display_name="Promote the challenger", outlets=[asset], multiple_outputs=False)
        def deploy_model() -> dict[str, Any]:
            return run_tasks.deploy_model(asset)

        @task(task_display_name="Challenger rejected", trigger_rule=after_rejection)
        def abort_pipeline() -> str:
            return run_tasks.abort_pipeline(fails=config.gates.on_rejection == "fail")

        plan, gate = plan_run(), check_quality(evaluate_model.output)
        promotion, rejection = deploy_model(), abort_pipeline()
        wait_for_data >> plan
        plan >> Label("nothing changed") >> no_change
        plan >> Label("new data, code or config") >> validate_data
        validate_data >> train_model >> evaluate_model
        validate_data >> grade_champion(config.compute)  # beside the way to the promotion
        gate >> Label("a gate failed, or cannot judge") >> rejection
        gate >> publish_card
        # The edge that protects production: nothing else leads to the promotion.
        if needs_approval:
            approval = ApprovePromotionOperator(
                task_id="approve_promotion",
                task_display_name="Manual approval",
                config=config,
                when_approved="deploy_model",
                when_rejected="abort_pipeline",
            )
            gate >> Label("every gate passed") >> approval >> Label("approved") >> promotion
            approval >> Label("rejected, or no answer") >> rejection
        else:
            gate >> Label("every gate passed") >> promotion

    model_dag: DAG = retrain_model()
    model_dag.params.update(run_params())  # now: before, each task gets a copy and checks it
    return model_dag


DAGS = model_dags(retrain)  # in a running task, its own only
