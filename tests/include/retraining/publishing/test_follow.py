"""Every target follows the log, whatever is down, killed or late meanwhile."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from include.retraining.publishing.http_target import HttpTarget
from include.retraining.publishing.pointer import PointerFile
from include.retraining.publishing.publication import Champion, Publication
from include.retraining.publishing.state import (
    ModelState,
    TargetState,
    find_state,
    read_all,
    write_all,
)
from include.retraining.publishing.target import OncePerPass, Receipt, Target
from include.retraining.publishing.webhook import Webhook, secret_of
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.layout import PUBLISHED_MODELS, published_key
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.counting_store import CountingStore
from tests.support.crash_points import count_points, import_before_forks, kill_at
from tests.support.loopback_server import LoopbackServer, Reply
from tests.support.promotions import promote, promote_days
from tests.support.published import NOW, POINTER, follow, published
from tests.support.run_factory import MODEL, plant_run, version_name

import_before_forks(__name__)

CONFIG = published(pointer={"address": POINTER}, webhook={})
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


@pytest.fixture
def store(folder_store: Store) -> CountingStore:
    """An initialised store on a folder, counting its requests."""
    initialise(folder_store.uri)
    return CountingStore(folder_store.uri)


@pytest.fixture
def receiver() -> Iterator[LoopbackServer]:
    """The receiver of the webhook."""
    with LoopbackServer() as server:
        yield server


def targets_in(store: Store, server: HttpTarget) -> dict[str, Target]:
    """Return a pointer in a store, and a webhook."""
    return {
        "pointer": PointerFile(store, POINTER, sets_back=False),
        "webhook": Webhook(server, secret_of(SECRET)),
    }


@pytest.fixture
def targets(store: Store, receiver: LoopbackServer) -> Iterator[dict[str, Target]]:
    """A pointer in the store, and a webhook."""
    server = HttpTarget("webhook", receiver.address, timeout_seconds=2)
    yield targets_in(store, server)
    server.close()


def sent(receiver: LoopbackServer) -> list[int]:
    """Return the generations that the webhook was sent, oldest first."""
    return [json.loads(request.body)["generation"] for request in receiver.requests]


def named(store: Store) -> int:
    """Return the generation that the pointer names."""
    return Publication.from_bytes(store.read(POINTER), where=POINTER).generation


def test_promotions_rollbacks_and_releases_are_followed(
    store: Store, targets: dict[str, Target], receiver: LoopbackServer
) -> None:
    """Whoever made the entry: the log is read, and no event."""
    state = follow(store, CONFIG, targets)
    assert (state.generation, sent(receiver), store.exists(POINTER)) == (0, [], False)
    promote_days(store, 1, 2)
    state = follow(store, CONFIG, targets, state)
    Registry(store, MODEL).rollback(version_name(1), actor="ann", reason="complaints")
    state = follow(store, CONFIG, targets, state)
    assert (named(store), state.version) == (3, version_name(1))
    Registry(store, MODEL).release(actor="ann", reason="mended")
    state = follow(store, CONFIG, targets, state)
    assert state.is_settled
    assert sent(receiver) == [2, 3, 4]
    kinds = [json.loads(request.body)["kind"] for request in receiver.requests]
    assert kinds == ["promotion", "rollback", "release"]


def test_a_model_of_which_nothing_is_new_costs_one_request_beside_its_pointer(
    store: CountingStore, targets: dict[str, Target], receiver: LoopbackServer
) -> None:
    """With the three of the watch that is four; the webhook is sent nothing."""
    promote_days(store, 1)
    state = follow(store, CONFIG, targets)
    without_pointer = published(webhook={})
    only_webhook = {"webhook": targets["webhook"]}
    store.counts.clear()
    assert follow(store, CONFIG, targets, state) == state
    assert store.counts == {"HEAD": 1, "GET": 1}
    alone = follow(store, without_pointer, only_webhook, state)
    store.counts.clear()
    assert follow(store, without_pointer, only_webhook, alone) == alone
    assert store.counts == {"HEAD": 1}
    assert sent(receiver) == [1]


@pytest.mark.fault("Q01")
def test_a_target_that_is_down_for_a_day_gets_the_newest_champion_afterwards(
    store: Store, targets: dict[str, Target], receiver: LoopbackServer
) -> None:
    """The others do not wait for it, and what it missed meanwhile is not sent (Q01)."""
    promote_days(store, 1)
    state = follow(store, CONFIG, targets)
    receiver.stop()
    for hour in range(24):
        if hour in {3, 12}:
            promote_days(store, 2 + hour)
        state = follow(store, CONFIG, targets, state, now=NOW + timedelta(hours=hour))
    webhook = state.targets["webhook"]
    assert (webhook.generation, state.generation, named(store)) == (1, 3, 3)
    assert webhook.failing_since == NOW + timedelta(hours=3)
    assert "does not answer" in str(webhook.problem)
    receiver.start()
    state = follow(store, CONFIG, targets, state, now=NOW + timedelta(hours=24))
    assert state.is_settled
    assert sent(receiver) == [1, 3]


def publish_elsewhere(address: str, store: Store) -> None:
    """What the task does, in a process that is killed."""
    server = HttpTarget("webhook", address, timeout_seconds=2)
    follow(store, CONFIG, targets_in(store, server))


@pytest.mark.fault("Q02")
def test_killed_at_any_write_it_is_sent_again_and_ends_the_same(
    tmp_path: Path, receiver: LoopbackServer
) -> None:
    """A message comes at least once, twice with the same id (Q02)."""
    flow = partial(publish_elsewhere, receiver.address)
    server = HttpTarget("webhook", receiver.address, timeout_seconds=2)

    (tmp_path / "promoted").mkdir()
    promote_days(initialise(f"file://{tmp_path / 'promoted'}"), 1)

    def fresh(name: str) -> Store:
        shutil.copytree(tmp_path / "promoted", tmp_path / name)
        return Store(f"file://{tmp_path / name}")

    points = count_points(flow, fresh("counted"))
    assert points >= 5
    for at in range(1, points + 2):
        del receiver.requests[:]
        store = fresh(f"killed-{at}")
        kill_at(flow, store, min(at, points), is_after=at > points)
        state = follow(store, CONFIG, targets_in(store, server))
        assert state.is_settled
        assert named(store) == 1
        message_id = f"{MODEL}.1.{PromotionLog(store, MODEL).entry(1).nonce[:12]}"
        ids = [request.headers["webhook-id"] for request in receiver.requests]
        assert ids in ([message_id], [message_id] * 2)
    server.close()


class LateSender:
    """A target whose sender is overtaken: while it sends, the next champion is promoted."""

    sets_back = False

    def __init__(self, store: Store, target: Target) -> None:
        self.store, self.target = store, target
        self.days = [2]

    def publish(self, champion: Champion, *, is_ours: bool) -> Receipt:
        """Promote another version first."""
        if self.days:
            promote(self.store, plant_run(self.store, self.days.pop()))
        return self.target.publish(champion, is_ours=is_ours)

    def difference(self, state: TargetState) -> str | None:
        """As of the target."""
        return self.target.difference(state)


@pytest.mark.fault("Q03")
def test_a_sender_that_is_overtaken_sends_the_newest_at_once(
    store: Store, targets: dict[str, Target]
) -> None:
    """It does not wait for the next pass (Q03)."""
    promote_days(store, 1)
    late = {**targets, "pointer": LateSender(store, targets["pointer"])}
    state = follow(store, CONFIG, late)
    assert (state.generation, named(store)) == (2, 2)
    assert state.is_settled


def test_what_someone_changed_is_noted_and_set_back_only_where_asked(
    store: Store, targets: dict[str, Target], receiver: LoopbackServer
) -> None:
    """And the next promotion replaces it in any case."""
    promote_days(store, 1)
    state = follow(store, CONFIG, targets)
    store.write(POINTER, b"mine")
    for _ in range(2):
        state = follow(store, CONFIG, targets, state)
    assert "is no pointer any more" in str(state.targets["pointer"].differs)
    assert (store.read(POINTER), state.is_settled) == (b"mine", False)
    setting_back = {**targets, "pointer": PointerFile(store, POINTER, sets_back=True)}
    state = follow(store, CONFIG, setting_back, state)
    assert state.targets["pointer"].is_set_back
    assert named(store) == 1
    state = follow(store, CONFIG, setting_back, state)
    assert state.is_settled
    store.write(POINTER, b"mine")
    state = follow(store, CONFIG, targets, state)
    promote_days(store, 2)
    assert follow(store, CONFIG, targets, state).is_settled
    assert named(store) == 2
    assert sent(receiver) == [1, 2]


@pytest.mark.parametrize("sets_back", [False, True])
def test_what_someone_changed_just_before_a_new_champion_is_noted(
    store: Store, targets: dict[str, Target], sets_back: bool
) -> None:
    """The champion replaces it in the same pass, and someone is to know of it all the same."""
    targets = {**targets, "pointer": PointerFile(store, POINTER, sets_back=sets_back)}
    promote_days(store, 1)
    state = follow(store, CONFIG, targets)
    store.write(POINTER, b"mine")
    promote_days(store, 2)
    state = follow(store, CONFIG, targets, state)
    pointer = state.targets["pointer"]
    assert (named(store), pointer.generation, pointer.is_set_back) == (2, 2, True)
    assert "is no pointer any more" in str(pointer.differs)
    assert pointer.differs_since == NOW
    assert follow(store, CONFIG, targets, state).is_settled


def test_another_address_has_nothing_yet_and_a_target_that_is_gone_is_forgotten(
    store: Store, targets: dict[str, Target]
) -> None:
    """The state has just what the YAML names."""
    promote_days(store, 1)
    state = follow(store, CONFIG, targets)
    elsewhere = published(pointer={"address": "published/other.json"})
    moved = {"pointer": PointerFile(store, "published/other.json", sets_back=False)}
    state = follow(store, elsewhere, moved, state)
    assert store.exists("published/other.json")
    stored = find_state(store, MODEL)
    assert stored == state
    assert list(stored.targets) == ["pointer"]


def test_models_that_share_a_server_that_is_down_wait_for_it_once(
    store: Store, targets: dict[str, Target], receiver: LoopbackServer
) -> None:
    """Until the next pass."""
    promote_days(store, 1)
    receiver.answer_next(Reply(503))
    down: dict[str, str] = {}
    for _ in range(3):
        target: Target = OncePerPass(targets["webhook"], "webhook", down)
        state = follow(store, published(webhook={}), {"webhook": target})
        assert "answered 503" in str(state.targets["webhook"].problem)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"format": 2}'])
def test_a_state_that_cannot_be_read_costs_one_more_message(
    store: Store, targets: dict[str, Target], receiver: LoopbackServer, damage: bytes
) -> None:
    """Nothing is decided by it."""
    promote_days(store, 1)
    state = follow(store, CONFIG, targets)
    write_all(store, {}, {MODEL: state})
    assert read_all(store) == {MODEL: state}
    for key in (published_key(MODEL), PUBLISHED_MODELS):
        store.write(key, damage)
    assert read_all(store) == {}
    assert follow(store, CONFIG, targets).is_settled
    assert sent(receiver) == [1, 1]


def test_a_state_says_where_what_is_and_since_when() -> None:
    """The pages show it."""
    state = ModelState(model=MODEL).with_places(CONFIG.publish.places(MODEL))
    assert {name: one.place for name, one in state.targets.items()} == {
        "pointer": POINTER,
        "webhook": "the address of webhook",
    }
