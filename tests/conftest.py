"""What every test may use: stores on a folder and on an S3 server on loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.retraining.store.object_store import Store

S3_OPTIONS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test-secret",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of an S3 server (moto) on loopback."""
    with s3_server(tmp_path_factory.mktemp("moto") / "moto.log") as endpoint:
        yield endpoint


@contextmanager
def s3_server(log: Path) -> Iterator[str]:
    """Run an S3 server (moto) on loopback and return its address; its output goes to ``log``."""
    port = free_port()
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.support.s3_server", "127.0.0.1", str(port)],
            stdout=output,
            stderr=output,
        )
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if server.poll() is not None or time.monotonic() > deadline:
                        pytest.fail(f"the S3 server did not start; see {log}")
                    time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(timeout=60)


@pytest.fixture
def s3_options(s3_endpoint: str) -> dict[str, str]:
    """Store options for the S3 server on loopback."""
    return {**S3_OPTIONS, "AWS_ENDPOINT_URL": s3_endpoint}


@pytest.fixture
def s3_bucket(s3_endpoint: str) -> str:
    """A fresh, empty bucket."""
    return new_bucket(s3_endpoint)


def new_bucket(endpoint: str) -> str:
    """Make a bucket on the S3 server on loopback and return its name."""
    import boto3

    name = f"test-{uuid.uuid4().hex[:12]}"
    boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=S3_OPTIONS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=S3_OPTIONS["AWS_SECRET_ACCESS_KEY"],
    ).create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["folder", "s3"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty place for objects, once on a folder and once on S3. It is not initialised."""
    if request.param == "folder":
        (tmp_path / "store").mkdir()
        return Store(f"file://{tmp_path / 'store'}")
    bucket = request.getfixturevalue("s3_bucket")
    return Store(f"s3://{bucket}/prefix", request.getfixturevalue("s3_options"))


@pytest.fixture
def folder_store(tmp_path: Path) -> Store:
    """An empty folder as a place for objects. It is not initialised."""
    (tmp_path / "store").mkdir(exist_ok=True)
    return Store(f"file://{tmp_path / 'store'}")
