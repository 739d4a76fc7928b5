"""Requests to the stand-ins for AWS on loopback: which came, and what goes wrong with them."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any, Literal, NamedTuple

REGION = "eu-west-1"


def connection_to(endpoint: str, *, password: str) -> str:
    """Return the text of an Airflow connection that leads to a stand-in."""
    extra = {"endpoint_url": endpoint, "region_name": REGION}
    return json.dumps({
        "conn_type": "aws",
        "login": "test",
        "password": password,
        "extra": extra,
    })


class Refusal(Exception):
    """An error that the service answers with."""

    def __init__(self, message: str, *, code: str = "ClientException", status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Call(NamedTuple):
    """One request."""

    operation: str
    body: dict[str, Any]


@dataclass
class Fault:
    """What goes wrong with which request."""

    operation: str
    """`SubmitJob` …; `*` for any."""
    action: Literal["drop before", "drop after", "hold"] | tuple[int, str]
    """A pair is the status and the error code to answer with, before anything happens."""
    after: int = 0
    """How many matching requests to let pass first."""
    times: int | None = 1
    """How many to fail; None for all that follow."""
    about: str = ""
    """What is part of the request's body, such as a job's name; without it, any does."""
    seen: int = 0
    let_go: threading.Event = field(default_factory=threading.Event)
    """Set it to answer the requests that are held after they took effect."""

    def applies(self, call: Call) -> bool:
        """Return whether this request fails, and count it."""
        if self.operation not in {"*", call.operation} or self.about not in json.dumps(call.body):
            return False
        self.seen += 1
        number = self.seen - self.after
        return number > 0 and (self.times is None or number <= self.times)


def refuse_as_scripted(action: object) -> None:
    """Raise the refusal that a fault asks for, if it asks for one."""
    if isinstance(action, tuple):
        raise Refusal("scripted", status=action[0], code=action[1])


class LoopbackServer(ThreadingHTTPServer):
    """A server of threads that ends with its process."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that was killed before it had its answer."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
