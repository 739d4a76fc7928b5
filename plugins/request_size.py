"""A limit on what Airflow's API takes for a DAG: a run's parameters are kept and shown for ever.

Airflow itself takes any size. A proxy may refuse earlier (docs/security.md); this holds without.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

MAX_BYTES = 65_536
"""Sixteen times what the forms take in all (`include/orchestration/trigger_forms/run_form.py`)."""
PLACE = "/api/v2/dags/"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class RequestSize:
    """Answers 413 to a body that is too long, and 411 to one that does not say how long it is."""

    def __init__(self, app: Any, max_bytes: int = MAX_BYTES) -> None:
        """Stand before ``app``, as a middleware of ASGI does.

        Args:
            app: what answers.
            max_bytes: of a body.
        """
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        refused = self._refusal(scope)
        if refused is None:
            await self.app(scope, receive, send)
            return
        status, words = refused
        body = json.dumps({"detail": words}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),  # the body that was not read must not be taken for a request
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        if scope["type"] != "http" or PLACE not in scope["path"]:
            return None
        headers = dict(scope["headers"])
        if b"transfer-encoding" in headers:
            return 411, "say how long the body is: a Content-Length is needed"
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.max_bytes:
            return 413, f"the body is too long: at most {self.max_bytes:,} bytes are taken"
        return None


class RequestSizePlugin(AirflowPlugin):
    """Puts the limit before Airflow's API."""

    name = "retraining_request_size"
    fastapi_root_middlewares: ClassVar[list[Any]] = [
        {"middleware": RequestSize, "args": [], "kwargs": {}, "name": "Size of requests"}
    ]
