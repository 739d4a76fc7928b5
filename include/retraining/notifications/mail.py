"""A notice as a mail: plain text, one thread for each topic."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP

from include.retraining.notifications.notice import Notice
from include.retraining.notifications.plain_text import plain, subject_of

DOMAIN = "retraining.invalid"
"""Of the ids of our mails: it names no host, https://www.rfc-editor.org/rfc/rfc2606#section-2."""


def mail_of(notice: Notice, *, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """Return a notice as a mail.

    No part of a notice can add a header: a subject is one line without control characters, and the
    library refuses any other.

    Args:
        notice: to send.
        sender: an address.
        recipients: addresses.

    Raises:
        ValueError: when an address holds a line break.
    """
    mail = EmailMessage(policy=SMTP)
    mail["Subject"] = subject_of(notice)
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    # The same for each try: a mail client shows a duplicate once.
    mail["Message-ID"] = _id(notice.key)
    if notice.topic is not None:
        mail["References"] = _id(notice.topic)
    mail["Date"] = notice.created_at
    mail["Auto-Submitted"] = "auto-generated"  # no one's absence answers it
    mail.set_content(f"{plain(notice)}\n")
    return mail


def _id(name: str) -> str:
    """Return a mail's id: always short, as one that does not fit its line would be encoded."""
    return f"<{hashlib.sha256(name.encode()).hexdigest()[:32]}@{DOMAIN}>"
