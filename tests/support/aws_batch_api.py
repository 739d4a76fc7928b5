"""A stand-in for AWS Batch and its log on CloudWatch, on loopback, whose jobs really run.

    with batch_api(prefix=[sys.executable, "-m", "include.retraining"], folder=ROOT) as batch:
        batch.define("retraining", image=IMAGE)                     # -> "retraining:1"
        batch.plans.append(Plan("retraining-*train*", attempts=(HOST_LOST, RUN)))
        batch.faults.append(Fault("SubmitJob", "drop after"))
        ...                                                         # the code under test
        assert len(batch.submissions("retraining-")) == 1

The real clients (boto3, aiobotocore), in any process, talk to it over HTTP: their endpoint is
`batch.endpoint`, and `batch.connection` is the text of an Airflow connection that leads there
(`AIRFLOW_CONN_AWS_DEFAULT`). A submitted job is a child process of this one: `prefix` and the
job's command, in `folder`, with `environment` (what an image and a job's role would give) and what
the request adds. It has a process group of its own, and its lines become events of a log stream.

Scripts, which a test may change at any time:

- `plans`: what happens to jobs by name (first match wins): each attempt runs (`RUN`) or ends as an
  `End` says without running; held in a state until `release`; hidden from ListJobs for a while.
- `faults`: what happens to requests: dropped before or after they took effect, answered with an
  error (status, code), or answered only when the fault's `let_go` is set.
- `lose_host(job)`: the host of a running job is terminated, as spot hosts are.
- `seconds`: how long a second of a job's timeout lasts, so that 60 s can pass in one.

What is observed: `calls` (every request in order), `submissions(prefix)`, `jobs`, and `job.wait`.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.support.aws_batch_jobs import ENDED, HOST_LOST, RUN, SUCCEED, Definition, End, Job, Plan
from tests.support.aws_requests import (
    REGION,
    Call,
    Fault,
    LoopbackServer,
    Refusal,
    connection_to,
    refuse_as_scripted,
)
from tests.support.least_privilege import check_batch

__all__ = [
    "ENDED",
    "HOST_LOST",
    "RUN",
    "SUCCEED",
    "BatchApi",
    "Call",
    "End",
    "Fault",
    "Job",
    "Plan",
    "batch_api",
]

SECRET = "a-secret-key-of-batch-on-loopback"
"""What the connection holds; it opens nothing."""
ACCOUNT = "123456789012"
LOG_GROUP = "/aws/batch/job"
ARN = f"arn:aws:batch:{REGION}:{ACCOUNT}"
OPERATIONS = {
    "/v1/submitjob": "SubmitJob",
    "/v1/describejobs": "DescribeJobs",
    "/v1/listjobs": "ListJobs",
    "/v1/terminatejob": "TerminateJob",
    "/v1/describejobdefinitions": "DescribeJobDefinitions",
    "Logs_20140328.GetLogEvents": "GetLogEvents",
}


@dataclass
class BatchApi:
    """A running stand-in."""

    endpoint: str
    prefix: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    queues: set[str] = field(default_factory=lambda: {"queue"})
    plans: list[Plan] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 1.0
    """How long a second of a job's timeout lasts."""
    log_page: int = 10_000
    """Events in an answer of GetLogEvents."""
    calls: list[Call] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def connection(self) -> str:
        """An Airflow connection that leads here."""
        return connection_to(self.endpoint, password=SECRET)

    def define(self, name: str, *, image: str, status: str = "ACTIVE") -> str:
        """Register a revision of a job definition and return `NAME:REVISION`."""
        revision = 1 + sum(definition.name == name for definition in self.definitions)
        self.definitions.append(Definition(name, revision, image, status))
        return f"{name}:{revision}"

    def submissions(self, name_prefix: str = "") -> list[dict[str, Any]]:
        """Return the requests that became jobs, in order, by the start of their job's name."""
        return [job.request for job in self.jobs if job.name.startswith(name_prefix)]

    def operations(self) -> list[str]:
        """Return the names of all calls, in order."""
        return [call.operation for call in self.calls]

    def release(self, plan: Plan) -> None:
        """Let the jobs go on that a plan holds."""
        with self.changed:
            plan.hold = None
            self.changed.notify_all()

    def lose_host(self, job: Job) -> None:
        """Terminate the host under a running job."""
        job.end_running(HOST_LOST)

    def wait(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not condition():
                if time.monotonic() > deadline:
                    states = {job.name: job.status for job in self.jobs}
                    raise TimeoutError(f"it did not happen in {seconds} s; jobs: {states}")
                self.changed.wait(0.1)

    def answer(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for, and return the answer.

        Raises:
            Refusal: when the service would refuse it.
        """
        handlers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "SubmitJob": self._submit,
            "DescribeJobs": self._describe,
            "ListJobs": self._list,
            "TerminateJob": self._terminate,
            "DescribeJobDefinitions": self._describe_definitions,
            "GetLogEvents": self._log_events,
        }
        return handlers[operation](body)

    def _submit(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["jobQueue"].rpartition("/")[2] not in self.queues:
            raise Refusal(f"JobQueue {body['jobQueue']} not found.")
        definition = self._definition(body["jobDefinition"])
        if definition is None or definition.status != "ACTIVE":
            raise Refusal(f"JobDefinition {body['jobDefinition']} is not active or not found.")
        if body.get("timeout", {}).get("attemptDurationSeconds", 60) < 60:
            raise Refusal("attemptDurationSeconds must be at least 60.")
        plan = next((plan for plan in self.plans if plan.matches(body["jobName"])), Plan("*"))
        with self.changed:
            job = Job(ARN, body, definition, plan, self.changed)
            self.jobs.append(job)
        own = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        job.start(
            self.prefix,
            folder=self.folder,
            environment={**own, **self.environment},
            seconds=self.seconds,
        )
        return {"jobArn": job.arn, "jobName": job.name, "jobId": job.id}

    def _describe(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"jobs": [job.detail() for job in self.jobs if job.id in body["jobs"]]}

    def _list(self, body: dict[str, Any]) -> dict[str, Any]:
        if not {"jobQueue", "arrayJobId", "multiNodeJobId"} & set(body):
            raise Refusal("One of jobQueue, arrayJobId or multiNodeJobId must be specified.")
        queue = body["jobQueue"].rpartition("/")[2]
        wanted = body.get("jobStatus", "RUNNING")
        names = [
            value.lower()
            for filter_ in body.get("filters", [])
            if filter_["name"] == "JOB_NAME"
            for value in filter_["values"]
        ]
        found = [
            job
            for job in reversed(self.jobs)  # the newest first
            if job.queue == queue
            and not job.is_hidden
            and (any(_matches(job.name.lower(), name) for name in names) or not names)
            and (bool(names) or job.status == wanted)
        ]
        start, size = int(body.get("nextToken", 0)), body.get("maxResults", 100)
        answer: dict[str, Any] = {
            "jobSummaryList": [job.summary() for job in found[start : start + size]]
        }
        if start + size < len(found):
            answer["nextToken"] = str(start + size)
        return answer

    def _terminate(self, body: dict[str, Any]) -> dict[str, Any]:
        for job in self.jobs:
            if job.id == body["jobId"]:
                job.terminate(body["reason"])
        return {}

    def _describe_definitions(self, body: dict[str, Any]) -> dict[str, Any]:
        found = [self._definition(name) for name in body.get("jobDefinitions", [])]
        return {"jobDefinitions": [item.detail(ARN) for item in found if item is not None]}

    def _definition(self, name: str) -> Definition | None:
        name, _, revision = name.rpartition("/")[2].partition(":")
        same = [item for item in self.definitions if item.name == name]
        if revision:
            same = [item for item in same if item.revision == int(revision)]
        return same[-1] if same else None

    def _log_events(self, body: dict[str, Any]) -> dict[str, Any]:
        for job in self.jobs:
            events = job.streams.get(body["logStreamName"])
            if events is not None and body["logGroupName"] == LOG_GROUP:
                break
        else:
            raise Refusal(
                "The specified log stream does not exist.", code="ResourceNotFoundException"
            )
        start = int(body["nextToken"].partition("/")[2]) if "nextToken" in body else 0
        page = events[start : start + self.log_page]
        # At the end of the stream the token that was sent comes back.
        return {
            "events": [
                {"timestamp": at, "message": text, "ingestionTime": at} for at, text in page
            ],
            "nextForwardToken": f"f/{start + len(page)}",
            "nextBackwardToken": f"b/{start}",
        }


def _matches(name: str, wanted: str) -> bool:
    return name.startswith(wanted[:-1]) if wanted.endswith("*") else name == wanted


class _Server(LoopbackServer):
    api: BatchApi


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        api = self.server.api
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        operation = OPERATIONS[self.headers.get("X-Amz-Target") or self.path]
        call = Call(operation, body)
        with api.changed:
            api.calls.append(call)
            faults = [fault for fault in api.faults if fault.applies(call)]
            api.changed.notify_all()
        action = faults[0].action if faults else None
        if action == "drop before":
            self.close_connection = True
            return
        status, code = 200, None
        try:
            refuse_as_scripted(action)
            answer = api.answer(operation, body)
        except Refusal as refusal:
            status, code = refusal.status, refusal.code
            answer = {"__type": code, "message": str(refusal)}
        if action == "drop after":
            self.close_connection = True
            return
        if action == "hold":
            faults[0].let_go.wait()
        data = json.dumps(answer).encode()
        self.send_response_only(status)
        if code is not None:
            self.send_header("x-amzn-ErrorType", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Keep quiet."""


@contextmanager
def batch_api(
    *, prefix: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[BatchApi]:
    """Run a stand-in; every process that it started has ended when this ends.

    Args:
        prefix: what the image would put before a job's command.
        folder: where jobs run.
        environment: what the image and the job's role would give; PATH, HOME and LANG are passed
            on.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    api = server.api = BatchApi(endpoint, list(prefix), folder, dict(environment or {}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        deadline = time.monotonic() + 60
        for job in api.jobs:
            job.terminate("the test is over")
        for job in api.jobs:
            job.join(deadline - time.monotonic())
    check_batch(call.operation for call in api.calls)
