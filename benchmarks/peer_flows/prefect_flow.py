"""The job as a flow of Prefect, which has no sensor: a task is retried until there is a flag."""

import steps
from prefect import flow, task


@task(retries=20, retry_delay_seconds=steps.POLL_SECONDS)
def wait_for_flag() -> None:
    """Wait for the flag."""
    if not steps.has_landed():
        raise FileNotFoundError(steps.FLAG)


@task
def train_model() -> float:
    """Fit and score."""
    return steps.train()


@task
def check_score(score: float) -> bool:
    """Compare with what is good enough."""
    return score > steps.MIN_SCORE


@task
def deploy_model() -> None:
    """Put it into production."""
    steps.deploy()


@task
def notify() -> None:
    """Send the message."""
    steps.notify()


@flow
def retrain() -> None:
    """Train when a file is there and deploy when the score is good enough."""
    wait_for_flag()
    if not check_score(train_model()):
        raise ValueError("the score is too low")
    deploy_model()
    notify()


if __name__ == "__main__":
    retrain()
