"""A stand-in for AWS Lambda and its logs, on loopback, whose functions really run the handler.

    with lambda_api(folder=ROOT) as aws:
        aws.define("training", image=IMAGE)                    # -> "training:1"
        aws.plans.append(Plan("retrain-*train*", deliveries=2))
        aws.faults.append(Fault("Invoke", "drop after"))
        ...                                                    # the code under test
        assert len(aws.submissions("retrain-")) == 1

The real client (boto3), in any process, talks to it over HTTP: its endpoint is `aws.endpoint`, and
`aws.connection` is the text of an Airflow connection that leads there. An execution environment is
a child process of this one that runs AWS's own runtime client (`awslambdaric`) with the handler of
the training image, against a runtime API of its own on loopback. It is kept warm and used again, as
Lambda does; when a function's time is up, or its host is lost, everything in it is killed.

Scripts, which a test may change at any time:

- `plans`: what happens to invocations by the job's name (first match wins): delivered more than
  once, kept in the queue until `release`, or dropped.
- `faults`: what happens to requests, as of the stand-in for AWS Batch.
- `lose_host(job)`: the environment that runs a job is gone: out of memory, or the host was lost.

What is observed: `calls` (every request in order), `submissions(prefix)`, `jobs`, and `job.wait`.
"""

from __future__ import annotations

import fnmatch
import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.aws_lambda_environment import SECRET, Environment, Function, LoopbackHandler
from tests.support.aws_requests import (
    Call,
    Fault,
    LoopbackServer,
    Refusal,
    connection_to,
    refuse_as_scripted,
)
from tests.support.least_privilege import check_lambda

__all__ = ["SECRET", "Fault", "Job", "LambdaApi", "Plan", "lambda_api"]

NOT_FOUND = "ResourceNotFoundException"
OPERATIONS = (
    ("POST", r"/2015-03-31/functions/(?P<name>[^/]+)/invocations", "Invoke"),
    ("GET", r"/2015-03-31/functions/(?P<name>[^/]+)", "GetFunction"),
    (
        "GET",
        r"/2019-09-25/functions/(?P<name>[^/]+)/event-invoke-config",
        "GetFunctionEventInvokeConfig",
    ),
)


@dataclass
class Plan:
    """What happens to the invocations for jobs whose name matches."""

    name: str
    """A pattern, as of file names."""
    deliveries: int = 1
    """How often the event comes to a function: Lambda promises at least once."""
    is_held: bool = False
    """Whether it stays in the queue until it is released."""
    is_dropped: bool = False
    """Whether it never comes: it became too old in the queue."""


@dataclass
class Execution:
    """One delivery of an event to an execution environment."""

    environment: Environment
    started: float
    ended: float | None = None
    answer: dict[str, Any] | None = None
    """What the handler returned, None when it was killed before or raised."""

    @property
    def has_worked(self) -> bool:
        """Whether the steps ran, as far as anybody knows."""
        return self.answer is None or bool(self.answer.get("started"))


@dataclass
class Job:
    """An accepted invocation."""

    function: Function
    payload: dict[str, Any]
    plan: Plan
    changed: threading.Condition
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    executions: list[Execution] = field(default_factory=list)
    is_over: bool = False
    """Whether no delivery of it is to come."""

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self.payload["name"])

    @property
    def pid(self) -> int | None:
        """The process that runs the steps now."""
        for execution in self.executions:
            if execution.ended is None and (pids := execution.environment.children()):
                return pids[0].pid
        return None

    @property
    def lines(self) -> list[str]:
        """What the environments said that ran it."""
        return [line for one in self.executions for line in one.environment.lines]

    def wait(self, seconds: float = 60) -> None:
        """Wait until every delivery has ended."""
        with self.changed:
            if not self.changed.wait_for(lambda: self.is_over, timeout=seconds):
                raise TimeoutError(f"{self.name}: still running after {seconds} s")


@dataclass
class LambdaApi:
    """A running stand-in."""

    endpoint: str
    folder: Path
    environment: Mapping[str, str]
    functions: list[Function] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    environments: list[Environment] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    _idle: list[Environment] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def connection(self) -> str:
        """An Airflow connection that leads here."""
        return connection_to(self.endpoint, password=SECRET)

    def define(
        self,
        name: str,
        *,
        image: str,
        memory_mib: int = 2048,
        timeout_seconds: float = 900,
        retries: int | None = 0,
        state: str = "Active",
    ) -> str:
        """Publish a version of a function and return `NAME:VERSION`."""
        version = 1 + sum(one.name == name for one in self.functions)
        self.functions.append(
            Function(name, version, image, memory_mib, timeout_seconds, retries, state)
        )
        return f"{name}:{version}"

    def submissions(self, name_prefix: str = "") -> list[dict[str, Any]]:
        """Return what functions were invoked with, in order, by the start of the job's name."""
        return [job.payload for job in self.jobs if job.name.startswith(name_prefix)]

    def operations(self) -> list[str]:
        """Return the names of all calls, in order."""
        return [call.operation for call in self.calls]

    def release(self, plan: Plan) -> None:
        """Deliver what a plan holds."""
        with self.changed:
            plan.is_held = False
            self.changed.notify_all()

    def lose_host(self, job: Job) -> None:
        """Kill the environment that runs a job, with everything in it."""
        for execution in job.executions:
            if execution.ended is None:
                execution.environment.kill()

    def wait(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not condition():
                if time.monotonic() > deadline:
                    raise TimeoutError(f"it did not happen in {seconds} s")
                self.changed.wait(0.1)

    def answer(
        self, operation: str, name: str, version: str, body: bytes
    ) -> tuple[int, dict[str, Any], str]:
        """Do what a request asks for; return the status, the answer and the request's id.

        Raises:
            Refusal: when the service would refuse it.
        """
        name = name.rpartition(":")[2]
        function = next(
            (one for one in self.functions if (one.name, str(one.version)) == (name, version)), None
        )
        if function is None:
            raise Refusal(
                f"Function not found: {name}:{version}",
                code=NOT_FOUND,
                status=404,
            )
        if operation == "GetFunction":
            return 200, function.detail(), str(uuid.uuid4())
        if operation == "GetFunctionEventInvokeConfig":
            if function.retries is None:
                raise Refusal(
                    f"The function {name} doesn't have an EventInvokeConfig",
                    code=NOT_FOUND,
                    status=404,
                )
            return 200, {"MaximumRetryAttempts": function.retries}, str(uuid.uuid4())
        payload = json.loads(body)
        plan = next(
            (plan for plan in self.plans if fnmatch.fnmatchcase(payload["name"], plan.name)),
            Plan("*"),
        )
        job = Job(function, payload, plan, self.changed)
        with self.changed:
            self.jobs.append(job)
            self.changed.notify_all()
        thread = threading.Thread(target=self._live, args=(job, body), daemon=True)
        self._threads.append(thread)
        thread.start()
        return 202, {}, job.request_id

    def reset(self) -> None:
        """Forget what happened and what was scripted; only idle environments stay."""
        with self.changed:
            for job in self.jobs:
                if not job.executions:
                    job.plan = Plan("*", is_dropped=True)
            self.changed.notify_all()
        for environment in self.environments:
            if environment not in self._idle and not environment.is_dead:
                environment.kill()
        for thread in self._threads:
            thread.join(60)
        check_lambda(call.operation for call in self.calls)
        for forgotten in (self.functions, self.plans, self.faults, self.calls, self.jobs):
            forgotten.clear()

    def log_events(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return a page of an environment's log.

        Raises:
            Refusal: when there is no such stream.
        """
        for environment in self.environments:
            place = (environment.function.log_group, environment.stream)
            if place == (body["logGroupName"], body["logStreamName"]):
                break
        else:
            raise Refusal("The specified log stream does not exist.", code=NOT_FOUND)
        start = int(body["nextToken"].partition("/")[2]) if "nextToken" in body else 0
        events = list(environment.events)
        page = [(at, text) for at, text in events[start:] if at >= body.get("startTime", 0)]
        return {
            "events": [
                {"timestamp": at, "message": text, "ingestionTime": at} for at, text in page
            ],
            "nextForwardToken": f"f/{len(events)}",
            "nextBackwardToken": f"b/{start}",
        }

    def close(self) -> None:
        """End every environment, and wait for what used them."""
        self.reset()
        for environment in self._idle:
            environment.kill()

    def _live(self, job: Job, body: bytes) -> None:
        """Let an accepted invocation go its way."""
        with self.changed:
            self.changed.wait_for(lambda: not job.plan.is_held)
        deliveries = [
            threading.Thread(target=self._deliver, args=(job, body), daemon=True)
            for _ in range(0 if job.plan.is_dropped else job.plan.deliveries)
        ]
        for delivery in deliveries:
            delivery.start()
        for delivery in deliveries:
            delivery.join()
        with self.changed:
            job.is_over = True
            self.changed.notify_all()

    def _deliver(self, job: Job, body: bytes) -> None:
        """Deliver an event until a function answers, as often as its configuration says."""
        retries = 2 if job.function.retries is None else job.function.retries
        for _ in range(1 + retries):
            with self.changed:
                environment = self._environment(job.function)
                execution = Execution(environment, time.time())
                job.executions.append(execution)
                self.changed.notify_all()
            execution.answer = environment.handle(
                job.request_id, body, job.function.timeout_seconds
            )
            with self.changed:
                execution.ended = time.time()
                if not environment.is_dead:
                    self._idle.append(environment)
                self.changed.notify_all()
            if execution.answer is not None:
                return

    def _environment(self, function: Function) -> Environment:
        """Return a warm environment, or a new one."""
        for environment in self._idle:
            if environment.function == function:
                self._idle.remove(environment)
                return environment
        environment = Environment(function, self.folder, self.environment)
        self.environments.append(environment)
        return environment


class _ApiServer(LoopbackServer):
    api: LambdaApi


class _ApiHandler(LoopbackHandler):
    server: _ApiServer

    def do_GET(self) -> None:  # noqa: N802 as http.server calls it
        self._serve("GET")

    def do_POST(self) -> None:  # noqa: N802 as http.server calls it
        self._serve("POST")

    def _serve(self, method: str) -> None:
        api, parts, body = self.server.api, urlsplit(self.path), self.body()
        operation, name = _asked(method, parts.path)
        call = Call(operation, json.loads(body or b"{}"))
        with api.changed:
            api.calls.append(call)
            faults = [fault for fault in api.faults if fault.applies(call)]
            api.changed.notify_all()
        action = faults[0].action if faults else None
        if action == "drop before":
            self.close_connection = True
            return
        headers = {"Content-Type": "application/json"}
        try:
            refuse_as_scripted(action)
            if operation == "GetLogEvents":
                status, answer = 200, api.log_events(json.loads(body))
            else:
                version = parse_qs(parts.query)["Qualifier"][0]
                status, answer, request_id = api.answer(operation, name, version, body)
                headers["x-amzn-RequestId"] = request_id
        except Refusal as refusal:
            status, answer = refusal.status, {"Type": "User", "Message": str(refusal)}
            headers["x-amzn-ErrorType"] = refusal.code
        if action == "drop after":
            self.close_connection = True
            return
        if action == "hold":
            faults[0].let_go.wait()
        self.reply(status, b"" if status == 202 else json.dumps(answer).encode(), headers)


def _asked(method: str, path: str) -> tuple[str, str]:
    """Return what a request asks for, and of which function; logs are of none."""
    for verb, pattern, operation in OPERATIONS:
        if verb == method and (found := re.fullmatch(pattern, path)):
            return operation, unquote(found["name"])
    assert (method, path) == ("POST", "/"), f"{method} {path} is not known here"
    return "GetLogEvents", ""


@contextmanager
def lambda_api(
    *, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[LambdaApi]:
    """Run a stand-in; every process that it started has ended when this ends.

    Args:
        folder: where the handler's code lies.
        environment: what the image and the function's role would give.
    """
    server = _ApiServer(("127.0.0.1", 0), _ApiHandler)
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    api = server.api = LambdaApi(endpoint, folder, dict(environment or {}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        api.close()
