"""The training image, built once from this tree, and AWS with a Batch that runs containers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from include.retraining.store.object_store import Store
from tests.support import container_engine
from tests.support.aws_in_containers import Aws, running_aws

GIT_SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="session")
def image() -> Iterator[str]:
    """The training image under a name of its own; it and its containers are removed at the end."""
    name = f"retraining-test:{uuid.uuid4().hex[:12]}"
    arguments = ("--target", "training", "--build-arg", f"GIT_SHA={GIT_SHA}", "--tag", name)
    container_engine.docker("build", *arguments, ".")
    try:
        yield name
    finally:
        container_engine.remove_image(name)


@pytest.fixture(scope="session")
def aws(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aws]:
    """AWS: it ends before the image is removed, so that no job starts any more."""
    with running_aws(
        container_engine.host_address(image), tmp_path_factory.mktemp("moto")
    ) as running:
        running.make_queue()
        yield running


@pytest.fixture(scope="session")
def job_definition(aws: Aws, image: str) -> str:
    """The ARN of the job definition whose jobs run in the training image."""
    return aws.register_job("retraining", image)


@pytest.fixture
def store(aws: Aws) -> Store:
    """An empty store on S3."""
    return aws.new_store()
