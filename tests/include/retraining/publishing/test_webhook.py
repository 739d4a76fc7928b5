"""The receiver of the webhook knows who sent it, when, and whether it has it already."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.retraining.exceptions import ConfigError, NotPublished, TargetUnreachable
from include.retraining.publishing.http_target import HttpTarget
from include.retraining.publishing.webhook import Webhook, secret_of
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.loopback_server import LoopbackServer, Reply
from tests.support.promotions import promote_days
from tests.support.published import champion_of

PAGE = Path(__file__).parents[4] / "docs" / "publishing.md"
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store on a folder with a model of two promotions, which no test here changes."""
    store = initialise(tmp_path_factory.mktemp("store").as_uri())
    promote_days(store, 1, 2)
    return store


@pytest.fixture
def receiver() -> Iterator[LoopbackServer]:
    """A receiver."""
    with LoopbackServer() as server:
        yield server


@pytest.fixture
def webhook(receiver: LoopbackServer) -> Iterator[Webhook]:
    """The webhook to it."""
    server = HttpTarget("webhook", f"{receiver.address}/hooks/T0P", timeout_seconds=2)
    yield Webhook(server, secret_of(SECRET))
    server.close()


def verification() -> dict[str, Any]:
    """Return the names that the page's example for receivers defines."""
    code = re.search(r"```python\n(.*?def receive.*?)```", PAGE.read_text(), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(compile(code[1], PAGE.name, "exec"), names)
    return names


def test_the_pages_example_takes_what_is_sent_and_nothing_else(
    promoted: Store, webhook: Webhook, receiver: LoopbackServer
) -> None:
    """A changed body, another secret, an old message and an older generation are not taken."""
    for generation in (2, 1):
        webhook.publish(champion_of(promoted, generation), is_ours=True)
    newer, older = receiver.requests
    assert newer.path == "/hooks/T0P"
    receive = verification()["receive"]
    state = {"generation": 0}
    assert receive(newer.headers, newer.body.replace(b"toy", b"joy"), SECRET, state) == 401
    assert receive(newer.headers, newer.body, f"{SECRET[:-8]}AAAAAAA=", state) == 401
    assert receive({**newer.headers, "webhook-timestamp": "1"}, newer.body, SECRET, state) == 401
    assert state == {"generation": 0}
    assert receive(newer.headers, newer.body, SECRET, state) == 204
    assert state["generation"] == 2
    assert receive(newer.headers, newer.body, SECRET, state) == 204  # sent twice
    assert receive(older.headers, older.body, SECRET, state) == 204  # and too late
    assert state["generation"] == 2


def test_the_same_entry_has_the_same_id_and_body_in_each_try(
    promoted: Store, webhook: Webhook, receiver: LoopbackServer
) -> None:
    """So that a receiver may keep what it has seen."""
    for _ in range(2):
        webhook.publish(champion_of(promoted, 2), is_ours=False)
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-id"].startswith("toy_model.2.")
    assert json.loads(first.body)["kind"] == "promotion"


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(503), TargetUnreachable),
        (Reply(429), TargetUnreachable),
        (Reply(410, b"gone"), NotPublished),
        (Reply(301, headers={"Location": "http://127.0.0.1:1/"}), NotPublished),
    ],
)
def test_what_is_not_taken_is_an_error_without_the_address(
    promoted: Store,
    webhook: Webhook,
    receiver: LoopbackServer,
    reply: Reply,
    error: type[NotPublished],
) -> None:
    """The address of a webhook may be a secret; a redirect is not followed."""
    receiver.answer_next(reply)
    with pytest.raises(error, match=f"connection 'webhook' answered {reply.status}") as raised:
        webhook.publish(champion_of(promoted, 2), is_ours=False)
    assert "T0P" not in str(raised.value)
    assert len(receiver.requests) == 1


def test_a_receiver_that_is_down_is_unreachable(
    promoted: Store, webhook: Webhook, receiver: LoopbackServer
) -> None:
    """And the error names the connection only."""
    receiver.stop()
    with pytest.raises(TargetUnreachable, match=r"^connection 'webhook' does not answer: \w+$"):
        webhook.publish(champion_of(promoted, 2), is_ours=False)


def test_an_endless_answer_is_cut(
    promoted: Store, webhook: Webhook, receiver: LoopbackServer
) -> None:
    """A receiver cannot fill the worker's memory."""
    receiver.answer_next(Reply(200, b"x" * (5 * 2**20)))
    with pytest.raises(TargetUnreachable, match="answers too much"):
        webhook.publish(champion_of(promoted, 2), is_ours=False)


@pytest.mark.parametrize(
    "password", [None, "", "secret", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", "whsec_ü"]
)
def test_a_secret_that_could_be_guessed_is_refused(password: str | None) -> None:
    """The error shows how to make one, and nothing of what is there."""
    with pytest.raises(ConfigError, match="at least 24 random bytes in base64") as raised:
        secret_of(password)
    assert not password or len(password) < 8 or password not in str(raised.value)
    assert secret_of("whsec_" + base64.b64encode(os.urandom(32)).decode())
