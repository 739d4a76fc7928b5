"""The job as one of Dagster: a sensor starts it, a process for each op runs it."""

from collections.abc import Iterator

import steps
from dagster import (
    DefaultSensorStatus,
    Definitions,
    In,
    Nothing,
    Out,
    Output,
    RunRequest,
    SkipReason,
    job,
    op,
    sensor,
)


@op
def train_model() -> float:
    """Fit and score."""
    return steps.train()


@op(out={"good": Out(Nothing, is_required=False), "bad": Out(Nothing, is_required=False)})
def check_score(score: float) -> Iterator[Output]:
    """Branch."""
    yield Output(None, "good" if score > steps.MIN_SCORE else "bad")


@op(ins={"good": In(Nothing)}, out=Out(Nothing))
def deploy_model() -> None:
    """Put it into production."""
    steps.deploy()


@op(ins={"bad": In(Nothing)})
def reject_model() -> None:
    """Refuse it."""
    raise ValueError("the score is too low")


@op(ins={"deployed": In(Nothing)})
def notify() -> None:
    """Send the message."""
    steps.notify()


@job
def retrain() -> None:
    """Train and deploy when the score is good enough."""
    good, bad = check_score(train_model())
    notify(deploy_model(good))
    reject_model(bad)


@sensor(
    job=retrain,
    minimum_interval_seconds=steps.POLL_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
)
def flag_landed() -> Iterator[RunRequest | SkipReason]:
    """Start a run for each flag."""
    if steps.has_landed():
        yield RunRequest(run_key=str(steps.FLAG.stat().st_mtime_ns))
    else:
        yield SkipReason("the flag is not there yet")


definitions = Definitions(jobs=[retrain], sensors=[flag_landed])
