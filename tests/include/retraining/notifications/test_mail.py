"""A mail as it goes over the line."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage

from include.retraining.notifications.mail import mail_of
from include.retraining.notifications.notice import Links, Notice, NoticeKind, alert, run_topic
from include.retraining.store.layout import run_key

RUN = run_key("scheduled__2026-01-01T00:00:00.123456+00:00", datetime(2026, 1, 1, tzinfo=UTC))


def message(event: str) -> Notice:
    """A message about a run, whose names are as long as Airflow makes them."""
    return alert(
        event=event,
        kind=NoticeKind.BROKEN,
        key=f"diabetes_progression.{RUN}.000.{event}",
        title="Toy",
        model="diabetes_progression",
        headline="it broke",
        why="why",
        step="Look.",
        owner=None,
        serving=None,
        links=Links(),
        runbook=event,
        topic=run_topic("diabetes_progression", RUN),
    )


def header(mail: EmailMessage, name: bytes) -> bytes:
    """One header's value, as it is sent."""
    (line,) = [line for line in mail.as_bytes().split(b"\r\n") if line.startswith(name + b": ")]
    return line.removeprefix(name + b": ")


def test_the_mails_about_a_run_refer_to_one_id() -> None:
    """Each is whole on its line: an id that was encoded to fit would be none."""
    late, broken = (
        mail_of(message(event), sender="a@example.org", recipients=["b@example.org"])
        for event in ("late", "broken")
    )
    references = header(late, b"References")
    assert references == header(broken, b"References")
    ids = [header(mail, b"Message-ID") for mail in (late, broken)]
    for one in (references, *ids):
        assert one.startswith(b"<")
        assert one.endswith(b"@retraining.invalid>")
    assert len({references, *ids}) == 3
    again = mail_of(message("late"), sender="a@example.org", recipients=["b@example.org"])
    assert header(again, b"Message-ID") == ids[0]
