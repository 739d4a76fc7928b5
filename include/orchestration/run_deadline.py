"""The deadline of a run that Airflow watches over, from a model's YAML."""

from __future__ import annotations

# Public names that Airflow 3.3.2 leaves out of its type stub.
from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference  # type: ignore[attr-defined]

from include.retraining.config.deadline import AfterStart, parse_deadline
from include.retraining.config.model import ModelConfig

# By its path: it lies in `plugins/`, because it runs in the triggerer, which knows no bundle.
CALLBACK = "deadline_callbacks.tell_late"


def run_deadline(config: ModelConfig) -> DeadlineAlert | None:
    """Return what Airflow does when a run takes too long; None without such a deadline.

    A time of day is the watch's: it must be kept also when no run was ever created.
    """
    deadline = None if config.deadline is None else parse_deadline(config.deadline)
    if not isinstance(deadline, AfterStart):
        return None
    return DeadlineAlert(
        name="late",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=deadline.interval,
        callback=AsyncCallback(CALLBACK, kwargs={"deadline": config.deadline}),
    )
