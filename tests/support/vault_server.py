"""HashiCorp Vault as far as Airflow asks it: AppRole logins and a KV store, version 2, on loopback.

It answers as Vault's HTTP API is documented to: https://developer.hashicorp.com/vault/api-docs. A
token opens what its policy names and nothing else; whether a secret exists is not said to others.
"""

from __future__ import annotations

import fnmatch
import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Vault:
    """A running Vault."""

    url: str
    mount: str
    role_id: str = field(default_factory=lambda: f"role-{secrets.token_hex(8)}")
    secret_id: str = field(default_factory=lambda: f"secret-{secrets.token_hex(8)}")
    kv: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The secrets by their path within the mount."""
    policy: tuple[str, ...] = ("*",)
    """Patterns of the paths that the role may read."""
    tokens: set[str] = field(default_factory=set)
    """Those that logins have given."""
    is_sealed: bool = False
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of every request, in the order in which they came."""

    @property
    def asked_for(self) -> list[str]:
        """The paths of the secrets that were asked for, in order."""
        prefix = f"/v1/{self.mount}/data/"
        return [path.removeprefix(prefix) for _, path in self.requests if path.startswith(prefix)]

    def settings(self, **more: Any) -> dict[str, str]:
        """Return the environment that lets an Airflow look here first."""
        kwargs = {
            "url": self.url,
            "auth_type": "approle",
            "mount_point": self.mount,
            "connections_path": "connections",
            "variables_path": None,
            "config_path": None,
            "timeout": 10,
            **more,
        }
        section = "AIRFLOW__SECRETS__BACKEND"
        return {
            section: "airflow.providers.hashicorp.secrets.vault.VaultBackend",
            f"{section}_KWARGS": json.dumps(kwargs),
            f"{section}_KWARG__ROLE_ID": self.role_id,
            f"{section}_KWARG__SECRET_ID": self.secret_id,
        }

    def answer(
        self, method: str, path: str, token: str | None, body: Mapping[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer to a request."""
        if self.is_sealed:
            return 503, {"errors": ["Vault is sealed"]}
        if (method, path) == ("POST", "/v1/auth/approle/login"):
            return self._log_in(body)
        kind, _, key = path.removeprefix(f"/v1/{self.mount}/").partition("/")
        is_allowed = any(fnmatch.fnmatchcase(key, pattern) for pattern in self.policy)
        if token not in self.tokens or kind != "data" or method != "GET" or not is_allowed:
            return 403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]}
        if key not in self.kv:
            return 404, {"errors": []}
        metadata = {"version": 1, "destroyed": False, "deletion_time": ""}
        return 200, {"data": {"data": self.kv[key], "metadata": metadata}}

    def _log_in(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if (body.get("role_id"), body.get("secret_id")) != (self.role_id, self.secret_id):
            return 400, {"errors": ["invalid role or secret ID"]}
        token = f"hvs.{secrets.token_urlsafe(24)}"
        self.tokens.add(token)
        return 200, {"auth": {"client_token": token, "lease_duration": 3600, "renewable": True}}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    vault: Vault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        vault = self.server.vault
        path = self.path.partition("?")[0]
        vault.requests.append((self.command, path))
        given = json.loads(body) if body else {}
        status, content = vault.answer(self.command, path, self.headers.get("X-Vault-Token"), given)
        data = json.dumps(content).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Keep quiet."""


@contextmanager
def vault_server(mount: str = "airflow") -> Iterator[Vault]:
    """Run a Vault whose KV store is mounted at ``mount``."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.vault = Vault(f"http://127.0.0.1:{server.server_address[1]}", mount)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.vault
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
