"""The task that grades the champion, and the one that keeps its failure from failing the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.standard.operators.empty import EmptyOperator

from include.orchestration.backends.job_task import job_task

if TYPE_CHECKING:
    from include.orchestration.backends.local.operator import LocalJobOperator
    from include.orchestration.backends.remote_operator import RemoteJobOperator
    from include.retraining.config.compute import ComputeBySteps


def grade_champion(compute: ComputeBySteps) -> LocalJobOperator | RemoteJobOperator:
    """Return the task that grades the champion, followed by its end.

    Args:
        compute: the model's.
    """
    # Without a callback: a run that decided stays decided when its grade is missing.
    grade = job_task("grade", compute, on_failure_callback=None)
    grade >> EmptyOperator(
        task_id="end_of_grading",
        task_display_name="Graded, or not",
        trigger_rule="all_done",  # a run fails by its last tasks: a failed grade is none of them
        on_execute_callback=None,  # with one, it would take a worker to do nothing
    )
    return grade
