"""AWS on this machine: moto's S3, CloudWatch Logs and Batch, whose jobs are real containers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store

REGION = "us-east-1"
ENDED = ("SUCCEEDED", "FAILED")
LOG_GROUP = "/aws/batch/job"
QUEUE = "training"


@dataclass(frozen=True)
class Aws:
    """A running stand-in for AWS."""

    endpoint: str
    """Its address, the same from here and from a container."""

    @property
    def options(self) -> dict[str, str]:
        """Store options, by obstore's environment names."""
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ALLOW_HTTP": "true",
        }

    def client(self, service: str) -> Any:
        """Return boto3's client of a service."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.options["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.options["AWS_SECRET_ACCESS_KEY"],
        )

    def new_store(self) -> Store:
        """Return a store, initialised and empty, in a bucket of its own."""
        bucket = f"test-{uuid.uuid4().hex[:12]}"
        self.client("s3").create_bucket(Bucket=bucket)
        return store_marker.initialise(f"s3://{bucket}/store", self.options)

    def make_queue(self) -> None:
        """Make the queue that jobs are submitted to."""
        batch = self.client("batch")
        environment = batch.create_compute_environment(
            computeEnvironmentName="machines", type="UNMANAGED", serviceRole=self._role()
        )
        order = [{"order": 1, "computeEnvironment": environment["computeEnvironmentArn"]}]
        batch.create_job_queue(
            jobQueueName=QUEUE, state="ENABLED", priority=1, computeEnvironmentOrder=order
        )

    def register_job(self, name: str, image: str) -> str:
        """Register an image as a job definition and return its ARN.

        Its environment holds the keys of the store: here it stands in for the job's role. moto's
        DescribeJobDefinitions knows no `NAME:REVISION`, which AWS takes too.
        """
        registered = self.client("batch").register_job_definition(
            jobDefinitionName=name,
            type="container",
            containerProperties={
                "image": image,
                "resourceRequirements": [
                    {"type": "VCPU", "value": "1"},
                    {"type": "MEMORY", "value": "1024"},
                ],
                "environment": [
                    {"name": name, "value": value} for name, value in self.options.items()
                ],
            },
        )
        return str(registered["jobDefinitionArn"])

    def _role(self) -> str:
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "batch.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        made = self.client("iam").create_role(RoleName="batch", AssumeRolePolicyDocument=policy)
        return str(made["Role"]["Arn"])

    def jobs(self) -> list[dict[str, Any]]:
        """Return every job that was ever submitted, as Batch describes it, oldest first."""
        batch = self.client("batch")
        anything = [{"name": "JOB_NAME", "values": ["*"]}]
        listed = batch.list_jobs(jobQueue=QUEUE, filters=anything)["jobSummaryList"]
        ids = [job["jobId"] for job in listed]
        found = batch.describe_jobs(jobs=ids)["jobs"] if ids else []
        return sorted(found, key=lambda job: job["createdAt"])

    def wait_for_job(self, job_id: str, *, timeout_seconds: float = 120) -> dict[str, Any]:
        """Wait until a job has ended and return how Batch describes it."""
        batch = self.client("batch")
        deadline = time.monotonic() + timeout_seconds
        while True:
            job = batch.describe_jobs(jobs=[job_id])["jobs"][0]
            if job["status"] in ENDED:
                return dict(job)
            assert time.monotonic() < deadline, f"{job_id} is still {job['status']}"
            time.sleep(0.2)

    def log(self, job: dict[str, Any]) -> str:
        """Return what an ended job printed, from CloudWatch Logs."""
        events = self.client("logs").get_log_events(
            logGroupName=LOG_GROUP, logStreamName=job["container"]["logStreamName"]
        )["events"]
        return "\n".join(event["message"] for event in events)


@contextmanager
def running_aws(address: str, folder: Path) -> Iterator[Aws]:
    """Run moto on an address that containers reach, with its log in ``folder``."""
    with socket.socket() as listener:
        listener.bind((address, 0))
        port = int(listener.getsockname()[1])
    with (folder / "moto.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", address, "-p", str(port)],
            stdout=log,
            stderr=log,
        )
        try:
            _wait_until_up(server, address, port)
            yield Aws(f"http://{address}:{port}")
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait_until_up(server: subprocess.Popen[bytes], address: str, port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            assert server.poll() is None, "moto ended by itself"
            assert time.monotonic() < deadline, "moto did not start"
            time.sleep(0.05)
        else:
            return
