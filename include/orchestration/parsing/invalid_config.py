"""The stand-in DAG for a model whose configuration is wrong, so that it is not overlooked."""

from __future__ import annotations

import re
from typing import Any

from airflow.sdk import DAG, BaseOperator, Context

from include.orchestration.callbacks.notifiers import DecisionNotifier
from include.orchestration.callbacks.run_ended import record_run_end
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.run_reference import DAG_PREFIX
from include.retraining.exceptions import ConfigError


class RefuseConfiguration(BaseOperator):
    """Fails with what is wrong with the configuration."""

    def __init__(self, *, error: str, **kwargs: Any) -> None:
        """Fail with one sentence.

        Args:
            error: what is wrong.
            kwargs: of any operator.
        """
        super().__init__(**kwargs)
        self.error = error

    def execute(self, context: Context) -> None:  # noqa: ARG002 Airflow passes it by name
        """Fail with what is wrong."""
        with fail_permanent_errors():
            raise ConfigError(self.error)


def dag_id_of(name: str) -> str:
    """Return the id of the DAG of a model's file, which may have any name."""
    return DAG_PREFIX + re.sub(r"[^\w.-]", "_", name)


def unreadable_model(name: str, error: str) -> DAG:
    """Return the DAG of a model that cannot be read: red once a day, and saying why.

    The other models' DAGs stay as they are: an exception while the file is parsed would take them
    all away.
    """
    with DAG(
        dag_id=dag_id_of(name),
        doc_md=f"# {name}: its configuration is wrong\n\n```\n{error}\n```\n",
        schedule="@daily",
        catchup=False,
        max_active_runs=1,
        tags=["retraining", "unreadable"],
        on_failure_callback=[record_run_end, DecisionNotifier()],
        default_args={"on_failure_callback": [record_run_end, DecisionNotifier()]},
    ) as dag:
        RefuseConfiguration(
            task_id="read_configuration",
            task_display_name="The configuration is wrong",
            error=error,
        )
    return dag
