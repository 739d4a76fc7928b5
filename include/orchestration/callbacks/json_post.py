"""Any other receiver by an Airflow connection of the type `http`: a notice as JSON."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.sdk import Connection

from include.retraining.exceptions import NotSent

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Notice
    from include.retraining.store.object_store import Store

# The address or the credentials are wrong, and will be next time.
_CLOSED = frozenset({400, 401, 403, 404, 405, 410})


def send(notice: Notice, connection: Connection, store: Store | None) -> None:
    """POST a notice, with the login, headers and certificates that the provider's hook takes.

    Raises:
        NotSent: when the receiver did not accept it, or that is unknown.
    """
    from include.retraining.notifications.time_limit import TIMEOUT_SECONDS, within

    del store
    answer = within(
        time.monotonic() + TIMEOUT_SECONDS, lambda: _post(notice, connection), what="the receiver"
    )
    _check(answer.status_code, answer.headers, "the receiver")


def _post(notice: Notice, connection: Connection) -> Any:
    """POST a notice with the session that the provider's hook makes, and return the answer.

    The address may be a secret, and an error names it. So the hook does not send, which would log
    the error, and only the error's type is passed on.
    """
    from airflow.providers.http.hooks.http import HttpHook

    from include.retraining.notifications.time_limit import TIMEOUT_SECONDS

    try:
        hook = HttpHook(method="POST", http_conn_id=connection.conn_id)
        session = hook.get_conn({"Idempotency-Key": notice.key})
        return session.post(
            hook.url_from_endpoint(None),
            json=body_of(notice),
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
            # Given here as the hook does: else the environment's would come before them.
            proxies=session.proxies,
            verify=session.verify,
        )
    except Exception as error:  # noqa: BLE001 whatever it says, it may say the address
        raise NotSent(
            f"the receiver of the Airflow connection {connection.conn_id!r} could not be asked "
            f"({type(error).__name__})",
            # An address, a header or a login that no request can be made of.
            is_revoked=isinstance(error, ValueError),
        ) from None


def body_of(notice: Notice) -> dict[str, Any]:
    """Return what a receiver is sent: nothing in it is markup."""
    from include.retraining.notifications.plain_text import plain, subject_of

    return {
        "format": 1,
        "key": notice.key,
        "event": notice.event,
        "kind": notice.kind.value,
        "model": notice.model,
        "topic": notice.topic,
        "is_outcome": notice.is_outcome,
        "title": subject_of(notice),
        "text": plain(notice),
        "created_at": notice.created_at.isoformat(),
    }


def post_json(url: str, body: dict[str, Any], *, what: str, end: float) -> None:
    """POST a body to an address and wait for the answer.

    Args:
        url: the address.
        body: made JSON.
        what: who is asked, for the error.
        end: when to give up (`time.monotonic`).

    Raises:
        NotSent: when it was not accepted, or that is unknown.
    """
    import httpx

    from include.retraining.notifications.time_limit import within

    left = max(0.1, end - time.monotonic())
    answer = within(end, lambda: httpx.post(url, json=body, timeout=left), what=what)
    _check(answer.status_code, answer.headers, what)


def _check(status: int, headers: Any, what: str) -> None:
    """Refuse an answer that does not accept a message. Its body may repeat what it was sent."""
    from include.retraining.notifications.slack import retry_after

    if 200 <= status < 300:
        return
    raise NotSent(
        f"{what} answered {status}",
        retry_after_seconds=retry_after(status, headers),
        is_revoked=status in _CLOSED,
    )
