"""The provider's own operators, deferrable, a DAG for each. What a team starts from."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.amazon.aws.operators.batch import BatchOperator
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

COMMAND = ["validate", "--run", "{{ dag_run.conf['run'] }}", "--attempt", "plain"]

START = datetime(2026, 1, 1, tzinfo=UTC)

with DAG("plain_batch", schedule=None, start_date=START):
    BatchOperator(
        task_id="validate",
        job_name="plain",
        job_queue="queue",
        job_definition="training:1",
        container_overrides={"command": COMMAND},
        deferrable=True,
        poll_interval=1,
    )

with DAG("plain_kubernetes", schedule=None, start_date=START):
    KubernetesPodOperator(
        task_id="validate",
        name="plain",
        namespace="ml",
        image="training",
        arguments=COMMAND,
        deferrable=True,
        poll_interval=1,
        get_logs=True,
        kubernetes_conn_id="kubernetes_default",
    )
