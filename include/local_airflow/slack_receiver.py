"""A loopback HTTP server that stands in for Slack's incoming webhooks.

It keeps every message in a file and can be told how to answer, so that tests see what a person
would see and what happens when Slack is not well. `python -m include.local_airflow.slack_receiver`
prints what arrives; docker-compose.yaml does that in its profile `demo`.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from include.local_airflow.errors import TookTooLong
from include.local_airflow.ports import LOOPBACK

TOKEN = "T00000000/B00000000/local"  # noqa: S105 it opens nothing
MAX_BODY_BYTES = 1_000_000


@dataclass(frozen=True)
class Reply:
    """How to answer one request."""

    status: int = 200
    body: str = "ok"
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_seconds: float = 0.0
    """How long to keep the sender waiting first."""

    @property
    def is_accepted(self) -> bool:
        """Whether the sender learns that its message was delivered."""
        return self.status == 200


OK = Reply()
TOO_MANY = Reply(429, "rate_limited", {"Retry-After": "1"})
BROKEN = Reply(500, "server_error")
REVOKED = Reply(404, "no_service")


class SlackReceiver:
    """Receives messages on loopback. A context manager, or call `start` and `stop`."""

    def __init__(
        self,
        inbox: Path,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        on_message: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        """Describe it; it does not listen yet.

        Args:
            inbox: the JSONL file that accepted messages are added to.
            host: the address to listen on; another than loopback only in its own container.
            port: where to listen; 0 for any free port.
            on_message: called with each accepted message, in a thread of the server.
        """
        self.inbox = inbox
        self.port = port
        self._host = host
        self._on_message = on_message
        self._script: deque[Reply] = deque()
        self._default = OK
        self._changed = threading.Condition()
        self._messages: list[dict[str, Any]] = []
        self._requests = 0
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def connection(self) -> str:
        """The Airflow connection to this server, in the form of an `AIRFLOW_CONN_…` variable."""
        return json.dumps({
            "conn_type": "slackwebhook",
            "host": f"http://{LOOPBACK}:{self.port}/services",
            "password": TOKEN,
        })

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The accepted messages, oldest first."""
        with self._changed:
            return list(self._messages)

    @property
    def texts(self) -> list[str]:
        """The texts of the accepted messages, oldest first."""
        return [str(message.get("text", "")) for message in self.messages]

    @property
    def requests(self) -> int:
        """How many requests came in, refused ones included."""
        return self._requests

    def start(self) -> None:
        """Listen; connections are refused before and after."""
        receiver = self

        class Handler(_Handler):
            def do_POST(self) -> None:
                receiver._receive(self)

        self._server = ThreadingHTTPServer((self._host, self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on; `start` listens on the same port again."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer_next(self, *answers: Reply) -> None:
        """Answer the next requests with these, one each, before the usual answer."""
        with self._changed:
            self._script.extend(answers)

    def answer_always(self, answer: Reply) -> None:
        """Answer every request that no `answer_next` is left for with this."""
        with self._changed:
            self._script.clear()
            self._default = answer

    def wait_for(
        self, condition: Callable[[list[dict[str, Any]]], Any], timeout_seconds: float = 30
    ) -> Any:
        """Wait until ``condition`` of the accepted messages is true, and return what it returned.

        Raises:
            TookTooLong: with the texts that did arrive.
        """
        with self._changed:
            result = self._changed.wait_for(lambda: condition(self._messages), timeout_seconds)
            if not result:
                texts = [message.get("text") for message in self._messages]
                raise TookTooLong(f"no such message after {timeout_seconds} s; there are: {texts}")
            return result

    def _receive(self, handler: BaseHTTPRequestHandler) -> None:
        length = min(int(handler.headers.get("Content-Length", 0)), MAX_BODY_BYTES)
        body = handler.rfile.read(length)
        with self._changed:
            self._requests += 1
            answer = self._script.popleft() if self._script else self._default
        if answer.hang_seconds:
            time.sleep(answer.hang_seconds)
        if answer.is_accepted:
            self._keep(body)
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body.encode())

    def _keep(self, body: bytes) -> None:
        try:
            message = dict(json.loads(body))
        except (ValueError, TypeError):
            message = {"text": body.decode(errors="replace")}
        message["received_at"] = datetime.now(UTC).isoformat()
        with self._changed:
            self.inbox.parent.mkdir(parents=True, exist_ok=True)
            with self.inbox.open("a", encoding="utf-8") as file:
                file.write(json.dumps(message) + "\n")
            self._messages.append(message)
            self._changed.notify_all()
        if self._on_message is not None:
            self._on_message(message)


class _Handler(BaseHTTPRequestHandler):
    """Answers like Slack: short text, no access log."""

    def handle(self) -> None:
        """Serve one request; a sender that lost its patience is no error here."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Keep quiet: the messages themselves are shown."""


def main() -> None:
    """Print every message that arrives until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=9999)
    parser.add_argument("--inbox", type=Path, default=Path("slack.jsonl"), help="added to")
    arguments = parser.parse_args()

    def show(message: dict[str, Any]) -> None:
        print(message.get("text", ""), flush=True)

    with SlackReceiver(arguments.inbox, host=arguments.host, port=arguments.port, on_message=show):
        signal.pause()


if __name__ == "__main__":
    main()
