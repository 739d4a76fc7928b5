"""An execution environment of the stand-in for AWS Lambda: a real process, and what it asks."""

from __future__ import annotations

import array
import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tests.support.aws_requests import REGION, LoopbackServer

SECRET = "a-secret-key-of-lambda-on-loopback"
"""What the connection and a function's own environment hold; it opens nothing."""
HANDLER = "include.retraining.steps.lambda_handler.handle"


class Function(NamedTuple):
    """A published version of a function."""

    name: str
    version: int
    image: str
    memory_mib: int
    timeout_seconds: float
    retries: int | None
    """MaximumRetryAttempts; None without an event invoke config, which means 2."""
    state: str

    def detail(self) -> dict[str, Any]:
        """Return what GetFunction says."""
        return {
            "Configuration": {
                "FunctionName": self.name,
                "Version": str(self.version),
                "PackageType": "Image",
                "CodeSha256": self.image.rpartition(":")[2],
                "MemorySize": self.memory_mib,
                "Timeout": int(self.timeout_seconds),
                "State": self.state,
                "LoggingConfig": {"LogFormat": "Text", "LogGroup": self.log_group},
            },
            "Code": {
                "RepositoryType": "ECR",
                "ImageUri": self.image.partition("@")[0] + ":latest",
                "ResolvedImageUri": self.image,
            },
        }

    @property
    def log_group(self) -> str:
        """Where its log goes."""
        return f"/aws/lambda/{self.name}"


class LoopbackHandler(BaseHTTPRequestHandler):
    """Reads and answers requests."""

    protocol_version = "HTTP/1.1"

    def body(self) -> bytes:
        """Read the request's body."""
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def reply(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        """Answer the request."""
        self.send_response_only(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Keep quiet."""


class _RuntimeServer(LoopbackServer):
    environment: Environment


class _RuntimeHandler(LoopbackHandler):
    """The API that a runtime asks: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html."""

    server: _RuntimeServer

    def do_GET(self) -> None:
        request_id, payload, ends_at = self.server.environment.next_event()
        if not request_id:  # the environment has ended
            self.close_connection = True
            return
        function = self.server.environment.function
        arn = f"arn:aws:lambda:{REGION}:123456789012:function:{function.name}:{function.version}"
        headers = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(ends_at * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": arn,
            "Content-Type": "application/json",
        }
        self.reply(200, payload, headers)

    def do_POST(self) -> None:
        content = self.body()
        *_, request_id, kind = self.path.split("/")
        self.server.environment.answered(request_id, kind, content)
        self.reply(202, b'{"status": "OK"}', {"Content-Type": "application/json"})


class Environment:
    """An execution environment: a runtime API and the process that asks it for events."""

    def __init__(self, function: Function, folder: Path, given: Mapping[str, str]) -> None:
        """Start it; it handles one event at a time."""
        self.function = function
        self.stream = f"2026/11/24/[{function.version}]{uuid.uuid4().hex}"
        self.events: list[tuple[int, str]] = []
        """Its lines, with when they were written in milliseconds since 1970."""
        self.is_dead = False
        self._events: list[tuple[str, bytes, float]] = []
        self._answers: dict[str, tuple[str, bytes]] = {}
        self._changed = threading.Condition()
        self._server = _RuntimeServer(("127.0.0.1", 0), _RuntimeHandler)
        self._server.environment = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        port = self._server.server_address[1]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", HANDLER],
            cwd=folder,
            env={
                **given,
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}",
                "AWS_LAMBDA_FUNCTION_NAME": function.name,
                "AWS_LAMBDA_FUNCTION_VERSION": str(function.version),
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mib),
                "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
                "AWS_LAMBDA_LOG_STREAM_NAME": self.stream,
                "AWS_REGION": REGION,
                "A_SECRET_OF_THE_FUNCTION": SECRET,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        self._reader_has_ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def handle(self, request_id: str, payload: bytes, seconds: float) -> dict[str, Any] | None:
        """Deliver an event and return the answer; None when it was killed or raised."""
        ends_at = time.time() + seconds
        with self._changed:
            self._events.append((request_id, payload, ends_at))
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: request_id in self._answers or self.is_dead, timeout=seconds
            )
            kind, content = self._answers.pop(request_id, ("none", b""))
        if kind == "none":
            self.kill()
        else:
            self._wait_for_lines()
        return json.loads(content) if kind == "response" else None

    @property
    def lines(self) -> list[str]:
        """What it has said."""
        return [text for _, text in self.events]

    def children(self) -> list[psutil.Process]:
        """Return the processes that the handler has started."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._process.pid).children(recursive=True)
        return []

    def kill(self) -> None:
        """End everything in it at once, as when its time is up or its host is lost."""
        for process in self.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._reader.join()
        with self._changed:
            self.is_dead = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def next_event(self) -> tuple[str, bytes, float]:
        """Wait for the next event, as the runtime client does between two."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self.is_dead)
            return self._events.pop(0) if self._events else ("", b"", 0.0)

    def answered(self, request_id: str, kind: str, content: bytes) -> None:
        """Take the answer to an event: a response, or an error."""
        with self._changed:
            self._answers[request_id] = (kind, content)
            self._changed.notify_all()

    def _wait_for_lines(self) -> None:
        """Wait until what was written before an answer has been read."""
        with self._changed:
            self._changed.wait_for(lambda: self._reader_has_ended or not self._unread_bytes())

    def _unread_bytes(self) -> int:
        size = array.array("i", [0])
        fcntl.ioctl(self._output, termios.FIONREAD, size)
        return size[0]

    def _read(self) -> None:
        """Read the process's lines; bytes leave the pipe and become lines under one lock."""
        rest = b""
        while True:
            select.select([self._output], [], [])
            with self._changed:
                chunk = os.read(self._output, 65536)
                *lines, rest = (rest + chunk).split(b"\n")
                if not chunk and rest:
                    lines.append(rest)
                now = int(time.time() * 1000)
                self.events += [(now, line.decode(errors="replace")) for line in lines]
                self._reader_has_ended = not chunk
                self._changed.notify_all()
            if not chunk:
                self._process.stdout.close()
                return
