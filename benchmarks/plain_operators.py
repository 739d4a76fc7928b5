"""The provider's own operators, deferrable, each on one job. What a team starts from."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.providers.amazon.aws.operators.batch import BatchOperator
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG

COMMAND = ["validate", "--run", "{{ dag_run.conf['run'] }}", "--attempt", "plain"]

with DAG("plain_operators", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    BatchOperator(
        task_id="batch",
        job_name="plain",
        job_queue="queue",
        job_definition="training:1",
        container_overrides={"command": COMMAND},
        deferrable=True,
        poll_interval=1,
    )
    KubernetesPodOperator(
        task_id="kubernetes",
        name="plain",
        namespace="ml",
        image="training",
        arguments=COMMAND,
        deferrable=True,
        poll_interval=1,
        get_logs=True,
        kubernetes_conn_id="kubernetes_default",
    )
