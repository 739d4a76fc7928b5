"""Mail by an Airflow connection of the type `smtp`, as the provider's hook logs in."""

from __future__ import annotations

import logging
import smtplib
import time
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Connection

from include.retraining.exceptions import NotSent

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Notice
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

_PERMANENT = 500
"""From here on an SMTP server's answer is final: RFC 5321, 4.2.1."""


def send(notice: Notice, connection: Connection, store: Store | None) -> None:
    """Send a notice as a mail in plain text.

    The hook's own mails are HTML, in which what a notice says would be markup.

    Raises:
        NotSent: when the server did not take it, or that is unknown.
    """
    from include.retraining.notifications.mail import mail_of
    from include.retraining.notifications.time_limit import TIMEOUT_SECONDS, within

    del store
    extra = connection.extra_dejson
    sender, recipients = extra.get("from_email"), _recipients(extra.get("to"))
    if not sender or not recipients:
        raise NotSent(
            f"the Airflow connection {connection.conn_id!r} names no addresses: its extra must "
            'hold {"from_email": "retraining@example.org", "to": "on-call@example.org"}',
            is_revoked=True,
        )
    try:
        mail = mail_of(notice, sender=str(sender), recipients=recipients)
    except ValueError as error:
        raise NotSent(
            f"the Airflow connection {connection.conn_id!r} has an address that is none: {error}",
            is_revoked=True,
        ) from None
    end = time.monotonic() + TIMEOUT_SECONDS
    within(end, lambda: _deliver(connection.conn_id, mail), what="the mail server")


def _deliver(conn_id: str, mail: Any) -> None:
    from airflow.providers.smtp.hooks.smtp import SmtpHook

    from include.retraining.notifications.time_limit import TIMEOUT_SECONDS

    class PlainTextHook(SmtpHook):  # type: ignore[misc,unused-ignore]
        """The hook, which tries once: the outbox tries again."""

        smtp_retry_limit = 0
        timeout = int(TIMEOUT_SECONDS)

        def deliver(self, message: Any) -> dict[str, tuple[int, bytes]]:
            """Send a mail that is whole; return the recipients that were refused, if not all."""
            return cast("smtplib.SMTP", self._smtp_client).send_message(message)

    try:
        hook = PlainTextHook(smtp_conn_id=conn_id)
        with hook:
            refused = hook.deliver(mail)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _refused(min(codes), "the recipients") from None
    except smtplib.SMTPResponseException as error:  # its text may repeat what was sent
        raise _refused(error.smtp_code, type(error).__name__) from None
    if refused:  # another try would reach those again who have it
        answers = ", ".join(sorted({str(code) for code, _ in refused.values()}))
        log.error(
            "the mail server took a message for others and refused %d recipient(s) of the Airflow "
            "connection %r with %s: they were not notified",
            len(refused),
            conn_id,
            answers,
        )


def _refused(code: int, what: str) -> NotSent:
    return NotSent(f"the mail server answered {code} ({what})", is_revoked=code >= _PERMANENT)


def _recipients(value: Any) -> list[str]:
    """Return addresses that are given as a list, or as a text with commas."""
    given = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    return [address.strip() for address in given if isinstance(address, str) and address.strip()]
