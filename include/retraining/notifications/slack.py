"""Slack by an incoming webhook. A message arrives whole, or it is known that not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include.retraining.exceptions import NotSent
from include.retraining.formatting.text import truncate
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.time_limit import TIMEOUT_SECONDS, within
from include.retraining.store.redaction import redact

if TYPE_CHECKING:
    import logging

    from slack_sdk.webhook import WebhookClient

PAUSE_SECONDS = 1.0
NO_PREVIEWS = {"unfurl_links": False, "unfurl_media": False}
"""Slack fetches no address that a message holds: a reason may hold anybody's."""
# The webhook or its channel is gone: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
_REVOKED = frozenset({403, 404, 410})
_BAD_REQUEST = 400
_TOO_MANY = 429


def send(
    client: WebhookClient, notice: Notice, *, timeout_seconds: float = TIMEOUT_SECONDS
) -> None:
    """Send a notice and wait for Slack's answer.

    What passes is tried once more where the time allows. A layout that Slack refuses is sent as
    plain text: a message must not be lost over its looks.

    Args:
        client: of the webhook, without retry handlers.
        notice: to send.
        timeout_seconds: for all of it; an answer that trickles in is cut as one that hangs.

    Raises:
        NotSent: when it did not arrive, or that is unknown.
    """
    end = time.monotonic() + timeout_seconds
    body = message_of(notice)
    try:
        _post(client, body, end)
    except NotSent as problem:
        if problem.is_revoked:
            raise
        pause = problem.retry_after_seconds or PAUSE_SECONDS
        if time.monotonic() + pause >= end:
            raise
        time.sleep(pause)
        _post(client, body, end)


def message_of(notice: Notice) -> dict[str, Any]:
    """Return what Slack is sent: the header, then the rest beside a bar in the kind's colour."""
    if not notice.blocks:
        return {"text": notice.text, **NO_PREVIEWS}
    header, *rest = notice.blocks
    return {
        "text": notice.text,
        **NO_PREVIEWS,
        "blocks": [header],
        "attachments": [{"color": notice.colour, "blocks": rest}],
    }


def quiet_logger() -> logging.Logger:
    """Return a logger for the client that says nothing: its lines may hold the webhook's address.

    The address is a secret, and not every stream is masked.
    """
    import logging

    logger = logging.getLogger("include.retraining.notifications.slack.client")
    logger.setLevel(logging.CRITICAL)
    return logger


def _post(client: WebhookClient, body: dict[str, Any], end: float) -> None:
    answer = within(end, lambda: client.send_dict(body))
    if answer.status_code == _BAD_REQUEST and "blocks" in body:
        answer = within(end, lambda: client.send_dict({"text": body["text"], **NO_PREVIEWS}))
    if answer.status_code == 200:
        return
    said = truncate(redact(str(answer.body)), 200)
    raise NotSent(
        f"Slack answered {answer.status_code}: {said}",
        retry_after_seconds=retry_after(answer.status_code, answer.headers),
        is_revoked=answer.status_code in _REVOKED,
    )


def retry_after(status: int, headers: Mapping[str, Any]) -> float | None:
    """Return how many seconds an answer asks to wait; None when it asks for nothing."""
    if status != _TOO_MANY:
        return None
    wish = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    try:
        return max(0.0, float(str(wish)))
    except ValueError:
        return None
