"""One thread for each topic, whatever happens to the senders."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from slack_sdk import WebClient

from include.retraining.exceptions import NotSent
from include.retraining.notifications.notice import Notice, NoticeKind
from include.retraining.notifications.slack import quiet_logger
from include.retraining.notifications.slack_api import SlackChannel
from include.retraining.notifications.slack_threads import (
    OPENING_SECONDS,
    Opening,
    close_thread,
    send_in_thread,
)
from include.retraining.store.object_store import Store
from tests.support.alert_receivers import Answer, SlackApi, serving

TOPIC = "toy.run-1"
FOLDER = f"outbox/threads/{TOPIC}.on_call"


@pytest.fixture
def slack() -> Iterator[SlackApi]:
    """Slack's API."""
    api = SlackApi()
    with serving(api):
        yield api


def channel(slack: SlackApi, *, seconds: float = 5, name: str = SlackApi.CHANNEL) -> SlackChannel:
    """A channel for one message."""
    client = WebClient(
        token="xoxb", base_url=f"{slack.url}/api/", retry_handlers=[], logger=quiet_logger()
    )
    return SlackChannel(client, name, time.monotonic() + seconds)


def about_run(
    event: str,
    *,
    kind: NoticeKind = NoticeKind.BROKEN,
    is_outcome: bool = False,
    topic: str | None = TOPIC,
) -> Notice:
    """A message about a run."""
    return Notice(
        key=f"toy.run-1.{event}",
        event=event,
        kind=kind,
        model="toy",
        text=f":x: {event}\nWhy: because",
        topic=topic,
        is_outcome=is_outcome,
        created_at=datetime.now(UTC),
    )


def send(store: Store, slack: SlackApi, notice: Notice, *, seconds: float = 5) -> None:
    """Send a message as a new sender would, and close its topic if it is an outcome."""
    send_in_thread(store, channel(slack, seconds=seconds), "on_call", notice)
    if notice.is_outcome:
        close_thread(store, channel(slack, seconds=seconds), "on_call", notice)


PROMOTED = {"kind": NoticeKind.GOOD_NEWS, "is_outcome": True}


def test_a_run_is_one_thread_and_its_first_message_says_how_it_ended(
    store: Store, slack: SlackApi
) -> None:
    """Later messages are replies; what someone must act on is shown in the channel too."""
    send(store, slack, about_run("approval", kind=NoticeKind.WAITING))
    send(store, slack, about_run("late"))
    send(store, slack, about_run("promoted", **PROMOTED))
    first, late, promoted = slack.messages
    assert first["text"].startswith(":x: promoted\n")
    assert first["text"].endswith("The thread began with: approval")
    assert (first["edits"], "thread_ts" in first) == (1, False)
    assert [late["thread_ts"], promoted["thread_ts"]] == [first["ts"]] * 2
    assert [late["reply_broadcast"], promoted["reply_broadcast"]] == [True, False]


def test_a_run_with_one_message_has_nothing_to_edit(store: Store, slack: SlackApi) -> None:
    """Its outcome opens the thread and is not edited to itself; a second outcome edits it."""
    send(store, slack, about_run("broken", is_outcome=True))
    assert len(slack.requests) == 1
    send(store, slack, about_run("promoted", **PROMOTED))
    assert [message.get("edits", 0) for message in slack.messages] == [1, 0]


def test_what_is_about_no_run_stands_alone(store: Store, slack: SlackApi) -> None:
    """No thread is opened, and nothing is stored."""
    send(store, slack, about_run("rolled_back", topic=None))
    send(store, slack, about_run("released", topic=None))
    assert len(slack.threads) == 2
    assert store.children("outbox/threads")[1] == []


@pytest.mark.fault("H14")
def test_eight_senders_at_once_open_one_thread(store: Store, slack: SlackApi) -> None:
    """One posts the first message, the others reply to it."""
    barrier = threading.Barrier(8)

    def send_one(number: int) -> None:
        barrier.wait()
        send(store, slack, about_run(f"e{number}"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send_one, range(8)))
    (messages,) = slack.threads.values()
    assert len(messages) == 8


@pytest.mark.fault("H14")
def test_an_answer_that_was_lost_costs_no_second_thread(store: Store, slack: SlackApi) -> None:
    """The try after it finds the message in the channel, and sends it no second time."""
    slack.script.append(Answer(is_lost=True))
    notice = about_run("late")
    with pytest.raises(NotSent):
        send(store, slack, notice)
    send(store, slack, notice)
    send(store, slack, about_run("broken"))
    assert list(slack.threads.values()) == [[":x: late", ":x: broken"]]


@pytest.mark.fault("H14")
def test_a_bot_that_may_not_read_the_channel_posts_once_more(store: Store, slack: SlackApi) -> None:
    """Then the message is there twice, and the thread is that of the second."""
    slack.may_read = False
    slack.script.append(Answer(is_lost=True))
    notice = about_run("late")
    with pytest.raises(NotSent):
        send(store, slack, notice)
    send(store, slack, notice)
    send(store, slack, about_run("broken"))
    assert sorted(slack.threads.values()) == [[":x: late"], [":x: late", ":x: broken"]]


@pytest.mark.fault("H14")
@pytest.mark.parametrize("had_posted", [True, False])
def test_a_sender_that_was_killed_is_followed(
    folder: Store, slack: SlackApi, had_posted: bool
) -> None:
    """Within a minute others wait in the outbox; after it one takes over what it left."""
    first = about_run("late")
    if had_posted:
        opens = {"topic": TOPIC, "key": first.key}
        channel(slack).post({"text": first.text}, opens=opens)
    claim = Opening(key=first.key, claimed_at=datetime.now(UTC))
    folder.create(f"{FOLDER}.opening-1.json", claim.to_bytes())
    with pytest.raises(NotSent, match="opening the thread"):
        send(folder, slack, about_run("broken"), seconds=0.3)
    old = claim.model_copy(
        update={"claimed_at": claim.claimed_at - timedelta(seconds=OPENING_SECONDS + 1)}
    )
    folder.write(f"{FOLDER}.opening-1.json", old.to_bytes())
    send(folder, slack, about_run("broken"))
    send(folder, slack, first)
    (messages,) = slack.threads.values()
    expected = [":x: late", ":x: broken"] if had_posted else [":x: broken", ":x: late"]
    assert messages == expected


def age_claim(store: Store, number: int, seconds: float) -> None:
    """Make a claim older."""
    key = f"{FOLDER}.opening-{number}.json"
    claim = Opening.from_bytes(store.read(key), where=key)
    older = claim.claimed_at - timedelta(seconds=seconds)
    store.write(key, claim.model_copy(update={"claimed_at": older}).to_bytes())


@pytest.mark.fault("H14")
@pytest.mark.parametrize(
    "failed",
    [Answer(is_lost=True), Answer(body={"ok": False, "error": "internal_error"}), Answer(503)],
)
def test_a_search_that_failed_loses_no_message_and_opens_no_second_thread(
    folder: Store, slack: SlackApi, failed: Answer
) -> None:
    """What is found later is the first sender's, however old, and the second's is a reply to it."""
    late, broken = about_run("late"), about_run("broken")
    slack.script.append(Answer(is_lost=True))
    with pytest.raises(NotSent):
        send(folder, slack, late)
    slack.messages[0]["ts"] = f"{time.time() - 20 * 60:.0f}.000000"
    age_claim(folder, 1, 20 * 60)
    slack.script.append(failed)
    with pytest.raises(NotSent):
        send(folder, slack, broken)
    send(folder, slack, broken)
    send(folder, slack, late)
    assert list(slack.threads.values()) == [[":x: late", ":x: broken"]]


def test_a_deleted_first_message_loses_no_other(folder: Store, slack: SlackApi) -> None:
    """A reply that finds no thread is posted as a message, and an edit is left out."""
    send(folder, slack, about_run("late"))
    slack.messages.clear()
    send(folder, slack, about_run("promoted", **PROMOTED))
    assert [message["text"].split("\n")[0] for message in slack.messages] == [":x: promoted"]
    assert "thread_ts" not in slack.messages[0]


def test_an_edit_that_fails_says_when_to_try_again_and_holds_no_message_back(
    folder: Store, slack: SlackApi
) -> None:
    """The reply is there before it."""
    send(folder, slack, about_run("late"))
    promoted = about_run("promoted", **PROMOTED)
    send_in_thread(folder, channel(slack), "on_call", promoted)
    slack.script.append(Answer(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "60"}))
    with pytest.raises(NotSent) as caught:
        close_thread(folder, channel(slack), "on_call", promoted)
    assert caught.value.retry_after_seconds == 60
    close_thread(folder, channel(slack), "on_call", promoted)
    assert [message.get("edits", 0) for message in slack.messages] == [1, 0]


def test_the_outcome_in_another_channel_edits_the_first_message(
    folder: Store, slack: SlackApi
) -> None:
    """Good news may have a channel of its own: the thread of the alarm says how it ended."""
    close_thread(folder, channel(slack), "on_call", about_run("promoted", **PROMOTED))
    assert slack.requests == []
    send(folder, slack, about_run("late"))
    close_thread(folder, channel(slack), "on_call", about_run("promoted", **PROMOTED))
    (message,) = slack.messages
    assert message["text"].startswith(":x: promoted")


def test_a_damaged_thread_loses_no_message(folder: Store, slack: SlackApi) -> None:
    """The message stands alone."""
    folder.create(f"{FOLDER}.json", b"{")
    folder.create(f"{FOLDER}.opening-1.json", b"{")
    send(folder, slack, about_run("late"))
    assert list(slack.threads.values()) == [[":x: late"]]


@pytest.mark.fault("H04")
@pytest.mark.parametrize("error", ["invalid_auth", "channel_not_found", "is_archived"])
def test_a_channel_that_is_closed_is_told_from_a_passing_fault(
    folder: Store, slack: SlackApi, error: str
) -> None:
    """It is not tried again, and the caller learns that this way is closed."""
    slack.script.append(Answer(body={"ok": False, "error": error}))
    with pytest.raises(NotSent, match=error) as caught:
        send(folder, slack, about_run("late"))
    assert (caught.value.is_revoked, len(slack.requests)) == (True, 1)


def test_a_layout_that_slack_refuses_is_posted_as_text(folder: Store, slack: SlackApi) -> None:
    """A message is not lost over its looks."""
    slack.script.append(Answer(body={"ok": False, "error": "invalid_blocks"}))
    notice = about_run("late").model_copy(update={"blocks": ({"type": "header"},)})
    send(folder, slack, notice)
    (message,) = slack.messages
    assert (message["text"], "blocks" in message) == (notice.text, False)
