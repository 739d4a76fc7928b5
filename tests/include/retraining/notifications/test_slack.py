"""What Slack is sent, and what is made of each of its answers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from slack_sdk.webhook import WebhookClient

from include.local_airflow.slack_receiver import (
    BROKEN,
    REVOKED,
    TOKEN,
    TOO_MANY,
    Reply,
    SlackReceiver,
)
from include.retraining.exceptions import NotSent
from include.retraining.notifications.notice import Links, Notice, NoticeKind, alert
from include.retraining.notifications.slack import quiet_logger, send


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[SlackReceiver]:
    """A receiver that stands in for Slack."""
    with SlackReceiver(tmp_path / "slack.jsonl") as receiver:
        yield receiver


def client_of(port: int) -> WebhookClient:
    """The client of a webhook on loopback."""
    return WebhookClient(
        f"http://127.0.0.1:{port}/services/{TOKEN}", retry_handlers=[], logger=quiet_logger()
    )


def end_of_sending() -> None:
    """Wait for the threads that a sender gave up."""
    for thread in threading.enumerate():
        if thread.name == "slack":
            thread.join()


def a_notice() -> Notice:
    """A message with all that it can have."""
    return alert(
        event="late",
        kind=NoticeKind.BROKEN,
        key="toy.run.late",
        title="Toy",
        model="toy",
        headline="the run is late",
        why="it is noon",
        step="Look.",
        owner="tests",
        serving="version 1",
        links=Links(run="https://airflow/run"),
        runbook="late",
    )


def test_a_message_is_a_header_and_a_coloured_bar(slack: SlackReceiver) -> None:
    """The header stands alone, the rest beside the kind's colour, and the text is the fallback."""
    send(client_of(slack.port), a_notice())
    (message,) = slack.messages
    (header,), (bar,) = message["blocks"], message["attachments"]
    assert header["text"]["text"] == ":rotating_light: Broken: Toy"
    assert bar["color"] == a_notice().colour
    assert [block["type"] for block in bar["blocks"]].count("header") == 0
    assert message["text"].startswith(":rotating_light: Broken: Toy: the run is late\n")


@pytest.mark.fault("H02")
@pytest.mark.parametrize("first", [TOO_MANY, BROKEN])
def test_what_passes_is_tried_again_at_once(slack: SlackReceiver, first: Reply) -> None:
    """A 429 that asks for a second, and a 500, are followed by one message."""
    slack.answer_next(first)
    begun = time.monotonic()
    send(client_of(slack.port), a_notice())
    assert time.monotonic() - begun >= 1
    assert (len(slack.messages), slack.requests) == (1, 2)


@pytest.mark.fault("H02")
def test_a_long_wish_to_wait_is_left_to_the_outbox(slack: SlackReceiver) -> None:
    """A Retry-After beyond the time there is ends the try and is handed on."""
    slack.answer_always(Reply(429, "rate_limited", {"Retry-After": "90"}))
    with pytest.raises(NotSent, match="429") as caught:
        send(client_of(slack.port), a_notice())
    assert (caught.value.retry_after_seconds, slack.requests) == (90, 1)
    assert not caught.value.is_revoked


@pytest.mark.fault("H04")
@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_revoked_webhook_is_told_from_a_passing_fault(slack: SlackReceiver, status: int) -> None:
    """It is not tried again, and the caller learns that this way is closed."""
    slack.answer_always(Reply(status, REVOKED.body))
    with pytest.raises(NotSent, match="no_service") as caught:
        send(client_of(slack.port), a_notice())
    assert (caught.value.is_revoked, slack.requests) == (True, 1)


@pytest.mark.fault("H12")
def test_a_layout_that_slack_refuses_is_sent_as_text(slack: SlackReceiver) -> None:
    """A message is not lost over its looks (H12)."""
    slack.answer_next(Reply(400, "invalid_blocks"))
    send(client_of(slack.port), a_notice())
    (message,) = slack.messages
    assert message["text"] == a_notice().text
    assert "blocks" not in message


def test_a_hang_is_cut(slack: SlackReceiver) -> None:
    """A Slack that does not answer holds a sender no longer than it may."""
    slack.answer_always(Reply(hang_seconds=1.2))
    begun = time.monotonic()
    with pytest.raises(NotSent, match="did not answer in time"):
        send(client_of(slack.port), a_notice(), timeout_seconds=0.4)
    assert time.monotonic() - begun < 1.1
    end_of_sending()


def test_a_trickle_is_cut_like_a_hang() -> None:
    """An answer whose bytes come one by one does not stretch the time."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        is_over = threading.Event()

        def trickle() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                while not is_over.wait(0.1):
                    connection.sendall(b"o")
                connection.sendall(b"o" * 1000)

        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        begun = time.monotonic()
        with pytest.raises(NotSent, match="did not answer in time"):
            send(client_of(server.getsockname()[1]), a_notice(), timeout_seconds=0.7)
        assert time.monotonic() - begun < 1.5
        is_over.set()
        thread.join()
        end_of_sending()


def test_the_webhooks_address_is_never_told(
    slack: SlackReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither an error nor a log line holds it, also at the level DEBUG."""
    caplog.set_level("DEBUG")
    port = slack.port
    slack.stop()
    with pytest.raises(NotSent) as caught:
        send(client_of(port), a_notice())
    slack.start()
    slack.answer_always(Reply(500, f"no such hook: http://x/services/{TOKEN}"))
    with pytest.raises(NotSent) as again:
        send(client_of(slack.port), a_notice())
    assert TOKEN not in caplog.text + str(caught.value) + str(again.value)


def test_an_older_notice_without_a_layout_is_sent_as_text(slack: SlackReceiver) -> None:
    """What waits in the outbox since an upgrade is sent too."""
    notice = Notice(key="k", event="e", model="m", text="hello", created_at=datetime.now(UTC))
    send(client_of(slack.port), notice)
    assert slack.messages[0]["text"] == "hello"
    assert "blocks" not in slack.messages[0]
