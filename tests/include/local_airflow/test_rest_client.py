"""The client of Airflow's API waits while SQLite is locked."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.local_airflow.rest_client import AirflowSession
from include.retraining.exceptions import AirflowRefused


class Handler(BaseHTTPRequestHandler):
    """Answers a log-in, and then what a list says, the last for ever."""

    answers: list[tuple[int, Any]]

    def do_POST(self) -> None:
        """Log in."""
        self._send(201, {"access_token": "x"})

    def do_PATCH(self) -> None:
        """Give the next answer."""
        self._send(*(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]))

    def _send(self, status: int, body: Any) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


LOCKED = (500, {"detail": {"reason": "Database error", "message": "Serious error"}})
NO_BACKFILL = (503, {"detail": "Database is locked. Backfill creation is not supported on SQLite"})


@pytest.mark.parametrize(
    ("answers", "refused"),
    [
        ([LOCKED, LOCKED, (200, {})], None),
        ([NO_BACKFILL, (200, {})], None),
        ([(500, {"detail": "a bug"}), (200, {})], "a bug"),
        ([(503, {"detail": "closed"}), (200, {})], "closed"),
    ],
)
def test_only_a_locked_database_is_waited_for(
    answers: list[tuple[int, Any]], refused: str | None
) -> None:
    """Nothing was written then; any other error is one."""
    handler = type("Answers", (Handler,), {"answers": list(answers)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    api = AirflowSession(f"http://127.0.0.1:{server.server_address[1]}", "admin", "x")
    try:
        if refused is None:
            api.set_paused("a_dag", is_paused=False)
        else:
            with pytest.raises(AirflowRefused, match=refused):
                api.set_paused("a_dag", is_paused=False)
    finally:
        api.close()
        server.shutdown()
        thread.join()
        server.server_close()
