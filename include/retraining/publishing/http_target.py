"""Asking a target over HTTP: a client whose errors are one line without secrets."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from include.retraining.documents import parse_json
from include.retraining.exceptions import ConfigError, NotPublished, TargetUnreachable
from include.retraining.formatting.text import truncate
from include.retraining.store.redaction import redact

TIMEOUT_SECONDS = 10.0
"""How long to wait for a connection, and for each part of an answer."""
ANSWER_SECONDS = 60.0
"""How long an answer may take to arrive once it has begun."""
MAX_ANSWER_BYTES = 4 * 2**20
SHOWN_LENGTH = 200


def token_of(password: str) -> str:
    """Return the token that a connection's password is.

    Raises:
        ConfigError: when no header can hold it; the text holds nothing of it.
    """
    token = password.strip()
    if not re.fullmatch(r"[!-~]+", token):
        raise ConfigError(
            "its password is a token, as there is no login: it must have letters, digits and signs "
            "of ASCII only, and no blanks"
        )
    return token


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether it is any 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    def json(self) -> dict[str, Any]:
        """Return the JSON object that it holds; an empty one when it holds none."""
        try:
            value = parse_json(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class HttpTarget:
    """The server of an Airflow connection; for several threads at once.

    Its address may hold a secret, as that of a webhook does: messages name the connection.
    """

    def __init__(
        self,
        connection: str,
        address: str,
        *,
        login: str | None = None,
        password: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Prepare a client; nothing is asked yet.

        Args:
            connection: the connection's name.
            address: of the server, without a login.
            login: for HTTP's basic authentication.
            password: its password; without a login, a token.
            timeout_seconds: how long to wait for an answer.

        Raises:
            ConfigError: when the token cannot be sent.
        """
        token = token_of(password) if login is None and password else None
        self.connection = connection
        self.address = address.rstrip("/")
        self._client = httpx.Client(
            timeout=timeout_seconds,
            auth=None if login is None else (login, password or ""),
            headers={"User-Agent": "retraining"},
            # A server on this machine is behind no proxy.
            trust_env=urlsplit(address).hostname not in {"localhost", "127.0.0.1", "::1"},
        )
        if token is not None:
            self._client.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def send(self, method: str, path: str = "", **arguments: Any) -> Answer:
        """Return the answer to one request; a redirect is an answer and is not followed.

        Raises:
            TargetUnreachable: when there is none, or the server is not able to answer now.
        """
        try:
            answer = self._answer(method, f"{self.address}{path}", arguments)
        except httpx.InvalidURL:
            raise NotPublished(f"connection {self.connection!r}: its address is none") from None
        except httpx.HTTPError as error:
            raise TargetUnreachable(
                f"connection {self.connection!r} does not answer: {type(error).__name__}"
            ) from None  # the first error's text holds the address
        is_busy = answer.status == HTTPStatus.TOO_MANY_REQUESTS
        if is_busy or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TargetUnreachable(self.described(answer))
        return answer

    def described(self, answer: Answer) -> str:
        """Return an answer in words, for an error."""
        text = truncate(redact(answer.body.decode(errors="replace")), SHOWN_LENGTH)
        return f"connection {self.connection!r} answered {answer.status}: {text}".rstrip(": ")

    def _answer(self, method: str, url: str, arguments: dict[str, Any]) -> Answer:
        body = bytearray()
        with self._client.stream(method, url, **arguments) as answer:
            end = time.monotonic() + ANSWER_SECONDS
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES or time.monotonic() > end:
                    raise TargetUnreachable(
                        f"connection {self.connection!r} answers too much, or too slowly"
                    )
        return Answer(answer.status_code, bytes(body))
