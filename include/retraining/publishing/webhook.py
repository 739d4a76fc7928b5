"""The webhook: a signed message about each champion, as https://www.standardwebhooks.com says.

What is signed is `ID.TIMESTAMP.BODY`; the id is the same in each try, so that a receiver knows what
it has, and the timestamp is of the try, so that an old message cannot be played again.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from base64 import b64decode, b64encode

from include.retraining.exceptions import ConfigError, NotPublished
from include.retraining.publishing.http_target import HttpTarget
from include.retraining.publishing.publication import Champion
from include.retraining.publishing.state import TargetState
from include.retraining.publishing.target import Receipt

SECRET_PREFIX = "whsec_"  # noqa: S105 what begins a secret, and none
MIN_SECRET_BYTES = 24
HOW_TO_MAKE = (
    "python -c \"import base64, os; print('whsec_' + base64.b64encode(os.urandom(32)).decode())\""
)


def secret_of(password: str | None) -> bytes:
    """Return the key that a connection's password holds.

    Raises:
        ConfigError: when it holds none; the text holds nothing of the password.
    """
    encoded = (password or "").strip()
    try:
        key = b64decode(encoded.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:  # binascii.Error is one, and letters beyond ASCII are another
        key = b""
    if not encoded.startswith(SECRET_PREFIX) or len(key) < MIN_SECRET_BYTES:
        raise ConfigError(
            f"its password must be {SECRET_PREFIX} and at least {MIN_SECRET_BYTES} random bytes in "
            f"base64, as made by: {HOW_TO_MAKE}"
        )
    return key


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header `webhook-signature`.

    Args:
        secret: the key.
        message_id: of the header `webhook-id`.
        timestamp: of the header `webhook-timestamp`, in seconds since the epoch.
        body: the message as it is sent.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()


class Webhook:
    """One receiver."""

    sets_back = False

    def __init__(self, server: HttpTarget, secret: bytes) -> None:
        """Describe it.

        Args:
            server: where it listens.
            secret: the key that signs.
        """
        self._server = server
        self._secret = secret

    def publish(self, champion: Champion, *, is_ours: bool) -> Receipt:  # noqa: ARG002 of `Target`
        """Send the message; any 2xx is its receipt."""
        body, timestamp = champion.publication.to_bytes(), int(time.time())
        headers = {
            "Content-Type": "application/json",
            "webhook-id": champion.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secret, champion.message_id, timestamp, body),
        }
        answer = self._server.send("POST", content=body, headers=headers)
        if not answer.is_success:
            raise NotPublished(self._server.described(answer))
        return Receipt(champion.message_id)

    def difference(self, state: TargetState) -> str | None:  # noqa: ARG002 of `Target`
        """Return nothing: a receiver cannot be asked what it has."""
        return None
