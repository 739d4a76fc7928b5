"""Jobs on AWS Batch that really run: the training image, started by Batch, with its store on S3."""

from __future__ import annotations

import pytest

from include.retraining.runs.results import TrainResult, read_result
from include.retraining.store.object_store import Store
from tests.docker.plans import RUN, plan, run_uri
from tests.support.aws_in_containers import QUEUE, Aws

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]  # the first one builds the image


def submit(aws: Aws, job_definition: str, *words: str) -> str:
    """Submit a job with boto3 alone and return its id."""
    submitted = aws.client("batch").submit_job(
        jobName="by-hand",
        jobQueue=QUEUE,
        jobDefinition=job_definition,
        containerOverrides={"command": list(words)},
    )
    return str(submitted["jobId"])


def test_the_steps_of_a_run_are_done_by_jobs_on_batch(
    aws: Aws, image: str, job_definition: str, store: Store
) -> None:
    """Batch starts the image with a step's words, and the step's result and log are there."""
    manifest = plan(store, image)
    for name in ("validate", "train"):
        words = (name, "--run", run_uri(store), "--attempt", "by-hand")
        job = aws.wait_for_job(submit(aws, job_definition, *words))
        assert job["status"] == "SUCCEEDED", aws.log(job)
    result = read_result(store, RUN.paths, manifest, "train")
    assert isinstance(result, TrainResult)
    assert result.version == manifest.version
