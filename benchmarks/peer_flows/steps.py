"""The job of the small benchmark for schedulers other than Airflow: what `plain_dag.py` does.

It runs in each scheduler's own environment, so it imports nothing of this repository.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.request
from pathlib import Path

PLACE = Path(os.environ["BENCH_PLAIN_FOLDER"])
FLAG = PLACE / "ready.flag"
POLL_SECONDS = 30
"""What Airflow's plain DAG has, and what a sensor of Dagster has by default."""
MIN_SCORE = 0.3


def mark(event: str) -> None:
    """Write down when something happened."""
    with (PLACE / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"event": event, "at": time.time()}) + "\n")


def has_landed() -> bool:
    """Return whether the flag is there."""
    is_there = FLAG.exists()
    mark("seen" if is_there else "waiting")
    return is_there


def train() -> float:
    """Fit the model, keep it as the candidate, and return its score on the holdout."""
    import joblib
    import pandas as pd
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame = pd.read_csv(PLACE / "patients.csv")
    features = frame.drop(columns=["patient_id", "sex", "progression"])
    parts = train_test_split(features, frame["progression"], test_size=0.3, random_state=1)
    train_rows, holdout, train_label, holdout_label = parts
    model = make_pipeline(StandardScaler(), RidgeCV()).fit(train_rows, train_label)
    joblib.dump(model, PLACE / "candidate.joblib")
    return float(model.score(holdout, holdout_label))


def deploy() -> None:
    """Put the candidate into production."""
    shutil.copy(PLACE / "candidate.joblib", PLACE / "production.joblib")


def notify() -> None:
    """Send the message to Slack."""
    text = json.dumps({"text": "peer: a new model is deployed"}).encode()
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(os.environ["BENCH_HOOK"], text, headers))
