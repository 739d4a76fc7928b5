"""The whole way with jobs on AWS Batch: Airflow, a store on S3, and containers that train."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.local_airflow.demo import samples
from include.local_airflow.demo.store import store_connection
from include.retraining.decisions.record import DecisionRecord, Outcome
from tests.docker.plans import MODEL, batch_compute
from tests.support import container_engine
from tests.support.airflow_harness import EndedRun, Stage, stage
from tests.support.aws_in_containers import REGION, Aws
from tests.support.repository_copy import add_model, copy_repository

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]  # the first one builds the image

STEPS = {"validate_data": "validate", "train_model": "train", "evaluate_model": "evaluate"}
FIT = "    return make_pipeline("
ENDLESS = f"    import time\n    time.sleep(3600)\n{FIT}"


def compute_of(image: str, job_definition: str, **more: Any) -> dict[str, Any]:
    """Return YAML values that move a model's heavy steps to Batch."""
    steps = dict.fromkeys(STEPS, batch_compute(image, job_definition))
    return {"compute": steps | more}


@pytest.fixture(scope="module")
def repository(
    aws: Aws, image: str, job_definition: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A copy of the repository with three models on Batch, two of them in the image below."""
    root = copy_repository(tmp_path_factory.mktemp("repository"))
    add_model(root, MODEL, like=MODEL, values=compute_of(image, job_definition))
    more = f"{image}-more"
    definition = aws.register_job("more", more)
    add_model(root, "together", values=compute_of(more, definition, one_job=True))
    add_model(
        root,
        "endless",
        values=compute_of(more, definition),
        code=lambda text: text.replace(FIT, ENDLESS),
    )
    return root


@pytest.fixture(scope="module")
def image_of_more(image: str, repository: Path) -> Iterator[str]:
    """The training image with two more models, as a release of this repository would hold them."""
    name = f"{image}-more"
    recipe = f"FROM {image}\nCOPY together.py endless.py include/models/\n"
    folder = str(repository / "include" / "models")
    container_engine.docker("build", "--tag", name, "--file", "-", folder, stdin=recipe)
    try:
        yield name
    finally:
        container_engine.remove_image(name)


@pytest.fixture(scope="module")
def airflow(
    aws: Aws, repository: Path, image_of_more: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A real Airflow whose store is on S3 and whose connection to AWS leads to the stand-in."""
    store = aws.new_store()
    connection = {
        "conn_type": "aws",
        "login": aws.options["AWS_ACCESS_KEY_ID"],
        "password": aws.options["AWS_SECRET_ACCESS_KEY"],
        "extra": {"endpoint_url": aws.endpoint, "region_name": REGION},
    }
    environment = {
        "AIRFLOW_CONN_STORE": store_connection(store.uri, store.options),
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
    }
    folder = tmp_path_factory.mktemp("stage")
    with stage(folder, root=repository, environment=environment) as running:
        running.store = store
        yield running


def run(airflow: Stage, model: str) -> tuple[EndedRun, DecisionRecord]:
    """Land the diabetes data for a model, run it and return how that ended."""
    airflow.land(model, samples.diabetes_progression())
    return airflow.run(model, timeout_seconds=300)


def jobs_of(aws: Aws, model: str) -> dict[str, dict[str, Any]]:
    """Return a model's jobs by their first step; no step is submitted twice."""
    found = [
        job
        for job in aws.jobs()
        if any(f"/models/{model}/" in word for word in job["container"]["command"])
    ]
    first = [job["container"]["command"][0] for job in found]
    assert max(Counter(first).values(), default=1) == 1, first
    return dict(zip(first, found, strict=True))


def containers(image: str, step: str) -> list[str]:
    """Return the running containers of an image that do a step."""
    columns = ("--no-trunc", "--format", "{{.ID}} {{.Command}}")
    listed = container_engine.docker("ps", "--filter", f"ancestor={image}", *columns).splitlines()
    return [line for line in listed if f"include.retraining {step} " in line]


def test_a_model_moves_to_batch_by_its_yaml(airflow: Stage, aws: Aws) -> None:
    """A run on Batch promotes with one submission for each step, and the next changes nothing."""
    ended, record = run(airflow, MODEL)
    assert record.outcome is Outcome.PROMOTED, (ended, record.reason)
    assert ended.tasks["publish_card"] == "success"
    jobs = jobs_of(aws, MODEL)
    assert set(jobs) == {"validate", "train", "evaluate", "grade", "card"}
    for task, step in STEPS.items():
        assert jobs[step]["jobId"] in airflow.log(MODEL, ended.run_id, task)
    assert "fitting" in aws.log(jobs["train"])
    for line in aws.log(jobs["train"]).splitlines():
        assert line in airflow.log(MODEL, ended.run_id, "train_model")

    _, second = run(airflow, MODEL)
    assert second.outcome is Outcome.NO_CHANGE
    assert jobs_of(aws, MODEL).keys() == jobs.keys()
    assert len(airflow.promotions(MODEL)) == 1


def test_one_container_does_several_steps(airflow: Stage, aws: Aws) -> None:
    """With `one_job`, one submission validates, trains and evaluates; the others have their own."""
    ended, record = run(airflow, "together")
    assert record.outcome is Outcome.PROMOTED, (ended, record.reason)
    jobs = jobs_of(aws, "together")
    assert set(jobs) == {"validate", "grade", "card"}
    assert jobs["validate"]["container"]["command"][:3] == list(STEPS.values())
    for task, step in STEPS.items():
        log = airflow.log("together", ended.run_id, task)
        assert jobs["validate"]["jobId"] in log or f"{step}: already done and verified" in log


def test_marking_the_training_failed_ends_its_container(
    airflow: Stage, aws: Aws, image_of_more: str
) -> None:
    """A person who marks the waiting task failed ends the job and its container."""
    airflow.land("endless", samples.diabetes_progression())
    run_id = airflow.start_run("endless")
    airflow.wait_for_task("endless", run_id, "train_model", "deferred")
    # Airflow tells only a trigger that runs already of the kill; it says what it sees.
    airflow.wait_for(
        lambda: " is RUNNING" in airflow.log("endless", run_id, "train_model"), "the trigger"
    )
    airflow.wait_for(lambda: containers(image_of_more, "train"), "the container", 60)
    airflow.api.set_task_state("retrain_endless", run_id, "train_model", "failed")
    airflow.wait_for(lambda: not containers(image_of_more, "train"), "end of the container", 60)
    job = jobs_of(aws, "endless")["train"]
    assert aws.wait_for_job(job["jobId"])["status"] == "FAILED"
    assert airflow.wait_for_end("endless", run_id).state == "failed"
    assert airflow.record("endless", run_id).outcome is Outcome.FAILED
