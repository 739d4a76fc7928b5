"""How long a run may take in all."""

from __future__ import annotations

from datetime import timedelta

from include.retraining.config.model import ModelConfig

TRIES = 3
BETWEEN_TRIES = timedelta(minutes=5)
FOR_THE_REST = timedelta(hours=1)


def run_time_limit(config: ModelConfig) -> timedelta:
    """Return the sum of what the parts may take, every retry included, and an hour for the rest."""
    compute = config.compute
    jobs = (
        compute.validate_data.longest_seconds
        + compute.train_model.longest_seconds
        + compute.evaluate_model.longest_seconds * 2  # the card runs on the same compute
    )
    waiting = timedelta(seconds=config.trigger.timeout_seconds)
    if config.approval == "required":
        waiting += TRIES * timedelta(hours=config.approval_hours)  # each try asks anew
    return waiting + TRIES * (timedelta(seconds=jobs) + 5 * BETWEEN_TRIES) + FOR_THE_REST
