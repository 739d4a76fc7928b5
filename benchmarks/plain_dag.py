"""The usual tutorial: wait for a file, train, branch, deploy, notify. What a team starts from."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import dag, task

PLACE = Path(os.environ["BENCH_PLAIN_FOLDER"])


@dag(schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), catchup=False)
def plain_tutorial():
    """Train when a file is there and deploy when the score is good enough."""
    wait_for_file = FileSensor(
        task_id="wait_for_file",
        filepath=str(PLACE / "ready.flag"),
        poke_interval=30,
        timeout=600,
    )

    @task
    def train_model() -> float:
        import joblib
        import pandas as pd
        from sklearn.linear_model import RidgeCV
        from sklearn.model_selection import train_test_split
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        frame = pd.read_csv(PLACE / "patients.csv")
        features = frame.drop(columns=["patient_id", "sex", "progression"])
        parts = train_test_split(features, frame["progression"], test_size=0.3, random_state=1)
        train, holdout, train_label, holdout_label = parts
        model = make_pipeline(StandardScaler(), RidgeCV()).fit(train, train_label)
        joblib.dump(model, PLACE / "candidate.joblib")
        return float(model.score(holdout, holdout_label))

    @task.branch
    def check_score(score: float) -> str:
        return "deploy_model" if score > 0.3 else "reject_model"

    @task
    def deploy_model() -> None:
        shutil.copy(PLACE / "candidate.joblib", PLACE / "production.joblib")

    @task
    def reject_model() -> None:
        raise ValueError("the score is too low")

    @task
    def notify() -> None:
        from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook

        hook = SlackWebhookHook(slack_webhook_conn_id="slack_alerts")
        hook.send(text="plain: a new model is deployed")

    score = train_model()
    branch = check_score(score)
    wait_for_file >> score
    branch >> deploy_model() >> notify()
    branch >> reject_model()


plain_tutorial()
