"""An S3 server's bad days: a proxy on loopback that fails as a script tells it to.

It forwards to a real S3 server on loopback. A `Fault` names a method, a part of the key and how
many matching requests to let pass first; what it does then is drop the connection before or after
the request went through, answer with a status, or flip a byte of the body.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

ERRORS = {
    403: "AccessDenied",
    404: "NoSuchKey",
    409: "ConditionalRequestConflict",
    412: "PreconditionFailed",
    500: "InternalError",
    503: "SlowDown",
}


@dataclass
class Fault:
    """What goes wrong with which request."""

    method: str
    key: str
    """Part of the address, query included."""
    action: Literal["drop before", "drop after", "flip"] | int
    """An integer is the status to answer with, without forwarding."""
    after: int = 0
    """How many matching requests to let pass first."""
    times: int | None = 1
    """How many to fail; None for all that follow."""
    seen: int = 0

    def applies(self, method: str, address: str) -> bool:
        """Return whether this request fails, and count it."""
        if method != self.method or self.key not in address:
            return False
        self.seen += 1
        number = self.seen - self.after
        return number > 0 and (self.times is None or number <= self.times)


@dataclass
class Proxy:
    """A running proxy."""

    endpoint: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and address of every request, in the order in which they came."""
    unconditional: list[str] = field(default_factory=list)
    """Addresses of the writes that would replace an object: without `If-None-Match`."""

    def options(self, options: dict[str, str]) -> dict[str, str]:
        """Return store options that lead through the proxy."""
        return {**options, "AWS_ENDPOINT_URL": self.endpoint}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.lock = threading.Lock()
        self.proxy = Proxy(f"http://127.0.0.1:{self.server_address[1]}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_any(self) -> None:
        address, proxy = unquote(self.path), self.server.proxy
        with self.server.lock:
            proxy.requests.append((self.command, address))
            if self.command in {"PUT", "POST"} and "If-None-Match" not in self.headers:
                proxy.unconditional.append(address)
            faults = [fault for fault in proxy.faults if fault.applies(self.command, address)]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        action = faults[0].action if faults else None
        if isinstance(action, int):
            self.answer(action, f"<Error><Code>{ERRORS[action]}</Code></Error>".encode(), {})
        elif action == "drop before":
            self.close_connection = True
        else:
            if action == "flip":
                middle = len(body) // 2
                body = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
            status, data, headers = self.forward(body)
            if action == "drop after":
                self.close_connection = True
            else:
                self.answer(status, data, headers)

    def forward(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            return response.status, response.read(), dict(response.getheaders())
        finally:
            connection.close()

    def answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        length = str(len(data))
        if self.command == "HEAD":
            length, data = headers.get("Content-Length", "0"), b""
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in {"connection", "content-length", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any  # noqa: N815

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Keep quiet."""


@contextmanager
def s3_proxy(upstream: str) -> Iterator[Proxy]:
    """Run a proxy before the S3 server at ``upstream``."""
    server = _Server(upstream)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
