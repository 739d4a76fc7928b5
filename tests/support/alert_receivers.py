"""Stand-ins on loopback for what messages go to: Slack's API, an HTTP receiver, a mail server."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit


class Answer(NamedTuple):
    """How to answer one request."""

    status: int = 200
    body: Any = None
    """None for what would be answered anyway."""
    headers: dict[str, str] = {}  # noqa: RUF012 never changed
    is_lost: bool = False
    """Do what is asked, and close the line without an answer."""


class HttpReceiver:
    """Keeps each POST, and answers as it is told."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        """Each with `path`, `headers` and `body`."""
        self.script: deque[Answer] = deque()
        self.port = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def answer_to(self, path: str, body: dict[str, Any], query: dict[str, Any]) -> Any:
        """Return what a request is answered with, as JSON."""
        return {"status": "success", "dedup_key": body.get("dedup_key", "")}


class SlackApi(HttpReceiver):
    """One channel of Slack's: messages with threads, edits and metadata."""

    CHANNEL = "C0123456789"

    def __init__(self, *, may_read: bool = True) -> None:
        super().__init__()
        self.messages: list[dict[str, Any]] = []
        """What is in the channel now, replies too, each with its `ts`."""
        self.may_read = may_read

    def connection(self, channel: str = CHANNEL) -> str:
        """The Airflow connection to it."""
        extra = {"channel": channel, "base_url": f"{self.url}/api/"}
        return json.dumps({"conn_type": "slack", "password": "xoxb-local", "extra": extra})

    @property
    def threads(self) -> dict[str, list[str]]:
        """The first lines of each first message and of its replies, by the first one's `ts`."""
        found: dict[str, list[str]] = {}
        for message in self.messages:
            found.setdefault(message.get("thread_ts", message["ts"]), []).append(
                message["text"].split("\n")[0]
            )
        return found

    def answer_to(self, path: str, body: dict[str, Any], query: dict[str, Any]) -> Any:
        """Do what a method of Slack's does."""
        method = path.rpartition("/")[2]
        if method == "chat.postMessage":
            ts = f"{time.time():.0f}.{len(self.messages):06d}"
            if "thread_ts" in body and not self._find(body["thread_ts"]):
                return {"ok": False, "error": "thread_not_found"}
            self.messages.append({**body, "ts": ts})
            return {"ok": True, "channel": self.CHANNEL, "ts": ts}
        if method == "chat.update":
            message = self._find(body["ts"])
            if not message or body["channel"] != self.CHANNEL:
                return {"ok": False, "error": "message_not_found"}
            message |= {key: value for key, value in body.items() if key != "channel"}
            message["edits"] = message.get("edits", 0) + 1
            return {"ok": True, "channel": self.CHANNEL, "ts": body["ts"]}
        if method == "conversations.history" and self.may_read:
            assert "channel" in query
            since = float(query["oldest"][0])
            firsts = [m for m in self.messages if "thread_ts" not in m and float(m["ts"]) > since]
            return {"ok": True, "messages": firsts}
        return {"ok": False, "error": "missing_scope"}

    def _find(self, ts: str) -> dict[str, Any]:
        return next((message for message in self.messages if message["ts"] == ts), {})


@contextmanager
def serving(receiver: HttpReceiver) -> Iterator[HttpReceiver]:
    """Serve a stand-in on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            url = urlsplit(self.path)
            is_json = "json" in self.headers.get("Content-Type", "")
            body = json.loads(raw) if is_json else {}
            query = parse_qs(url.query if is_json else url.query or raw.decode())
            with receiver.lock:
                request = {"path": url.path, "headers": dict(self.headers), "body": body}
                receiver.requests.append(request)
                answer = receiver.script.popleft() if receiver.script else Answer()
                said = answer.body
                if said is None:
                    said = receiver.answer_to(url.path, body, query)
            if answer.is_lost:
                self.close_connection = True
                self.connection.close()
                return
            data = json.dumps(said).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A line that was closed on purpose."""

    server = Server(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


class MailServer(NamedTuple):
    """A mail server: what it received, and how it answers the first recipients."""

    port: int
    mails: list[EmailMessage]
    refusals: deque[str]
    """Each refuses one recipient: `550 no such user`."""

    def connection(self, **extra: Any) -> str:
        """The Airflow connection to it."""
        known = {
            "from_email": "retraining@example.org",
            "to": "a@example.org, b@example.org",
            "disable_ssl": True,
            "disable_tls": True,
        }
        fields = {"conn_type": "smtp", "host": "127.0.0.1", "port": self.port}
        return json.dumps({**fields, "extra": {**known, **extra}})


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Serve a mail server on a free port: https://www.rfc-editor.org/rfc/rfc5321."""
    mails: list[EmailMessage] = []
    refusals: deque[str] = deque()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 loopback")
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                if verb == "DATA":
                    self.say("354 go on")
                    data = b""
                    while (part := self.rfile.readline()) != b".\r\n":
                        data += part.removeprefix(b".") if part.startswith(b"..") else part
                    mails.append(message_from_bytes(data, policy=policy.default))
                    self.say("250 taken")
                elif verb == "RCPT" and refusals:
                    self.say(refusals.popleft())
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield MailServer(server.server_address[1], mails, refusals)
        server.shutdown()
