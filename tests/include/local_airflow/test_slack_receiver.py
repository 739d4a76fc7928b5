"""The receiver keeps messages and answers as told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from include.local_airflow import slack_receiver
from include.local_airflow.errors import TookTooLong
from include.local_airflow.slack_receiver import SlackReceiver


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[SlackReceiver]:
    """A receiver that listens."""
    with SlackReceiver(tmp_path / "inbox.jsonl") as running:
        yield running


def send(receiver: SlackReceiver, text: str, **options: float) -> httpx.Response:
    """Send a message as a webhook's sender does."""
    connection = json.loads(receiver.connection)
    url = f"{connection['host']}/{connection['password']}"
    return httpx.post(url, json={"text": text}, trust_env=False, **options)


def test_keeps_messages(receiver: SlackReceiver) -> None:
    """An accepted message is in memory and in the file."""
    assert send(receiver, "hello").text == "ok"
    assert receiver.texts == ["hello"]
    assert json.loads(receiver.inbox.read_text())["text"] == "hello"


def test_tells_who_listens(tmp_path: Path) -> None:
    """Each accepted message is handed on as it arrives."""
    seen: list[str] = []
    with SlackReceiver(tmp_path / "in", on_message=lambda m: seen.append(m["text"])) as receiver:
        send(receiver, "one")
        send(receiver, "two")
    assert seen == ["one", "two"]


def test_script(receiver: SlackReceiver) -> None:
    """Scripted answers come first, and a refused message is not kept."""
    receiver.answer_next(slack_receiver.TOO_MANY, slack_receiver.BROKEN)
    limited = send(receiver, "a")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "1")
    assert send(receiver, "b").status_code == 500
    assert send(receiver, "c").status_code == 200
    assert receiver.texts == ["c"]
    assert receiver.requests == 3


def test_always(receiver: SlackReceiver) -> None:
    """A revoked hook stays revoked until it is told otherwise."""
    receiver.answer_always(slack_receiver.REVOKED)
    assert [send(receiver, "x").status_code for _ in range(2)] == [404, 404]
    receiver.answer_always(slack_receiver.OK)
    assert send(receiver, "x").status_code == 200


def test_hang(receiver: SlackReceiver) -> None:
    """A hanging answer outlasts a sender's patience."""
    receiver.answer_next(slack_receiver.Reply(hang_seconds=0.5))
    with pytest.raises(httpx.ReadTimeout):
        send(receiver, "x", timeout=0.1)


def test_refuses_between_stop_and_start(receiver: SlackReceiver) -> None:
    """A stopped receiver refuses connections and comes back on the same port."""
    port = receiver.port
    receiver.stop()
    with pytest.raises(httpx.ConnectError):
        send(receiver, "lost")
    receiver.start()
    assert receiver.port == port
    send(receiver, "back")
    assert receiver.texts == ["back"]


def test_wait_names_what_arrived(receiver: SlackReceiver) -> None:
    """Waiting in vain says which messages there are."""
    send(receiver, "something else")
    with pytest.raises(TookTooLong, match="something else"):
        receiver.wait_for(lambda messages: len(messages) == 2, timeout_seconds=0.05)
