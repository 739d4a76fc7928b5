"""A silence holds messages back for a while, loses none, and cannot last for ever."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.retraining.config.notice_kind import NoticeKind
from include.retraining.exceptions import (
    NotFound,
    ParameterError,
    RegistryError,
    RetrainingError,
    StorageError,
)
from include.retraining.notifications.holding import Holding
from include.retraining.notifications.listing import send_lists
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.notice_pieces import pieces
from include.retraining.notifications.outbox import deliver, deliver_waiting, waiting
from include.retraining.notifications.silences import (
    MAX_HOURS,
    Silence,
    begin_silence,
    covering,
    end_silence,
    open_silences,
)
from include.retraining.store.object_store import Store
from tests.support.counting_store import CountingStore

BROKEN = NoticeKind.BROKEN


def now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def begin(store: Store, model: str = "toy", kind: NoticeKind = BROKEN, **fields: Any) -> Silence:
    """Begin a silence."""
    known = {"hours": 8, "reason": "being mended", "actor": "ada", "due": now()}
    request = f"silence_alerts/{now().isoformat()}"
    return begin_silence(store, model, kind, **{"request": request, **known, **fields})


def end(store: Store, model: str = "toy", kind: NoticeKind = BROKEN, **fields: Any) -> Silence:
    """End the silences."""
    known = {"reason": "mended", "actor": "bob", "due": now(), "request": "silence_alerts/end"}
    return end_silence(store, model, kind, **{**known, **fields})


def notice(event: str, *, model: str = "toy", kind: NoticeKind = BROKEN) -> Notice:
    """A message."""
    return Notice(
        key=f"{model}.run-1.000.{event}",
        event=event,
        kind=kind,
        model=model,
        text=f":x: Toy: {event}\nrun: https://airflow/{model}/{event}",
        created_at=now(),
    )


def tell(store: Store, message: Notice, sent: list[Notice]) -> bool:
    """Deliver a message as a callback does."""
    return deliver(store, message, sent.append, hold=Holding(store, lambda _: 10).piece_for)


def pass_over(store: Store, sent: list[Notice]) -> int:
    """Do what the watch does with the outbox."""
    listed = pieces(store)
    hold = Holding(store, lambda _: 10, listed=listed).piece_for
    deliver_waiting(store, sent.append, listed=listed, hold=hold)
    return send_lists(store, listed, sent.append, lambda one: f"{one.model}/{one.kind}")


def test_a_silence_is_of_one_model_and_kind(store: Store) -> None:
    """Any other message is sent; the silence says what, until when, by whom and why."""
    silence = begin(store)
    sent: list[Notice] = []
    assert not tell(store, notice("late"), sent)
    assert tell(store, notice("promoted", kind=NoticeKind.GOOD_NEWS), sent)
    assert tell(store, notice("late", model="other"), sent)
    assert [one.key for one in sent] == ["toy.run-1.000.promoted", "other.run-1.000.late"]
    assert open_silences(store) == [silence]
    assert silence.words.startswith("messages of the kind broken about toy are silenced until ")
    assert silence.words.endswith(" UTC by ada (being mended)")


@pytest.mark.fault("H15")
def test_what_was_silenced_is_listed_once_when_it_is_over(store: Store) -> None:
    """Nothing is sent while it lasts, not even by the watch; then one message names all."""
    begin(store)
    sent: list[Notice] = []
    for event in ("late", "broken", "late"):
        assert not tell(store, notice(event), sent)
    assert pass_over(store, sent) == 0
    assert (sent, list(waiting(store))) == ([], [])
    end(store)
    assert pass_over(store, sent) == 2
    (message,) = sent
    assert message.kind is BROKEN
    assert "2 message(s) were silenced" in message.text
    assert "being mended" in message.text
    assert "• Toy: late https://airflow/toy/late" in message.text
    assert set(message.lists) == {"toy.run-1.000.late", "toy.run-1.000.broken"}
    assert pass_over(store, sent) == 0
    assert len(sent) == 1
    assert tell(store, notice("cannot_judge"), sent)


@pytest.mark.fault("H15")
def test_a_silence_is_over_by_itself(folder: Store) -> None:
    """Nobody has to remember it; a later one of the same kind goes on holding."""
    silence = begin(folder, hours=1)
    assert silence.until is not None
    assert open_silences(folder, now=silence.until) == []
    sent: list[Notice] = []
    tell(folder, notice("late"), sent)
    past = silence.model_copy(update={"until": now() - timedelta(seconds=1)})
    later = begin(folder, hours=2)
    folder.write(f"outbox/silences/{silence.id}.json", past.to_bytes())
    assert covering(open_silences(folder), "toy", BROKEN) == later
    assert pass_over(folder, sent) == 0
    folder.delete(f"outbox/silences/{later.id}.json")
    assert pass_over(folder, sent) == 1


@pytest.mark.fault("H15")
def test_a_sender_that_is_killed_before_the_marks_lists_nothing_twice(folder: Store) -> None:
    """The list is found again by its key, and what it names is marked."""
    begin(folder)
    sent: list[Notice] = []
    for event in ("late", "broken"):
        tell(folder, notice(event), sent)
    end(folder)

    def killed(message: Notice) -> None:
        sent.append(message)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send_lists(folder, pieces(folder), killed, lambda one: one.model)
    (message,) = sent
    folder.create(f"outbox/{message.key}.sent.json", b"{}\n")  # it arrived, as someone saw
    assert pass_over(folder, sent) == 2
    assert pass_over(folder, sent) == 0
    assert len(sent) == 1


@pytest.mark.parametrize("hours", [0, -1, MAX_HOURS + 1, True])
def test_no_silence_lasts_for_ever(folder: Store, hours: int) -> None:
    """Two weeks at most, and nothing is written of what is refused."""
    with pytest.raises(ParameterError, match="1 to 336"):
        begin(folder, hours=hours)
    assert folder.children("outbox/silences")[1] == []


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"reason": ""}, "needs an actor and a reason"),
        ({"reason": "its password=hunter22"}, "looks like a secret"),
        ({"due": datetime.now(UTC) - timedelta(days=2)}, "more than a day ago: trigger it anew"),
    ],
)
def test_what_is_not_acceptable_silences_nothing(
    folder: Store, fields: dict[str, Any], says: str
) -> None:
    """A silence without a reason, with a secret in it, or of a run that was cleared much later."""
    with pytest.raises(RetrainingError, match=says) as caught:
        begin(folder, **fields)
    assert isinstance(caught.value, ParameterError | RegistryError)
    assert open_silences(folder) == []


def test_another_try_finds_what_was_written(store: Store) -> None:
    """A retry makes no second silence, and a retried end ends no later one."""
    due = now()
    first = begin(store, request="silence_alerts/a", due=due)
    assert begin(store, request="silence_alerts/a", due=due, hours=300) == first
    ended = end(store, due=due)
    later = begin(store, request="silence_alerts/b")
    assert end(store, due=due) == ended
    assert open_silences(store) == [later]
    with pytest.raises(NotFound, match="no message of the kind waiting about toy is silenced"):
        end(store, kind=NoticeKind.WAITING, request="silence_alerts/c")


def test_an_entry_that_cannot_be_read_silences_nothing(folder: Store) -> None:
    """A damaged file must hold no message back."""
    silence = begin(folder)
    folder.write(f"outbox/silences/{silence.id}.json", b"{")
    sent: list[Notice] = []
    assert tell(folder, notice("late"), sent)


@pytest.mark.parametrize(
    "changes",
    [
        {"until": "2999-01-01T00:00:00"},
        {"created_at": "2026-01-01T00:00:00"},
        {"until": (datetime.now(UTC) + timedelta(hours=MAX_HOURS + 1)).isoformat()},
        {"until": None},
        {"action": "end"},
        {"id": "20260101T000000-0123456789ab"},
        {"id": "other"},
    ],
)
def test_an_entry_that_breaks_the_rules_silences_nothing(
    folder: Store, changes: dict[str, Any]
) -> None:
    """Whoever wrote it: a time without a zone, one beyond two weeks, another file's name."""
    silence = begin(folder)
    entry = {**json.loads(silence.to_bytes()), **changes}
    folder.write(f"outbox/silences/{silence.id}.json", json.dumps(entry).encode())
    sent: list[Notice] = []
    assert tell(folder, notice("late"), sent)
    assert open_silences(folder) == []


def test_an_end_is_of_the_silences_that_it_names(folder: Store) -> None:
    """The clock of the worker that ends them may be behind that of the one that began them."""
    silence = begin(folder)
    ahead = silence.model_copy(update={"created_at": now() + timedelta(minutes=5)})
    folder.write(f"outbox/silences/{silence.id}.json", ahead.to_bytes())
    other = begin(folder, kind=NoticeKind.WAITING)
    assert end(folder).ends == (silence.id,)
    assert open_silences(folder) == [other]


class Unlistable(Store):
    """A store whose silences cannot be listed."""

    def between(self, folder: str, **bounds: Any) -> list[Any]:
        """Refuse."""
        raise StorageError(f"{folder}: refused")


def test_a_store_that_does_not_say_silences_nothing(folder: Store) -> None:
    """The message is sent directly."""
    sent: list[Notice] = []
    assert tell(Unlistable(folder.uri), notice("late"), sent)
    assert len(sent) == 1


def test_what_was_sent_already_costs_no_question(folder: Store) -> None:
    """An alarm that lasts asks the store at each pass what it asked before there were silences."""
    sent: list[Notice] = []
    tell(folder, notice("late"), sent)
    store = CountingStore(folder.uri)
    assert not tell(store, notice("late"), sent)
    assert store.counts == {"HEAD": 1}
    assert not deliver(store, notice("late"), sent.append)
    assert store.counts == {"HEAD": 2}
