"""What lasts is told once, and again when it is over, whatever kills the watch between."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.retraining.decisions.alarm_state import read_alarm_state
from include.retraining.exceptions import NotSent
from include.retraining.notifications.notice import Notice, NoticeKind
from include.retraining.notifications.outbox import deliver
from include.retraining.store.layout import watch_key
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from include.retraining.watch.alarms import Alarm, update_alarms

PLACE = "models/toy_model"
NOW = datetime(2026, 11, 27, 6, tzinfo=UTC)


@pytest.fixture
def store(folder_store: Store) -> Store:
    """An initialised store on a folder."""
    return initialise(folder_store.uri, {})


class Slack:
    """Takes what the outbox sends, or refuses."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.sent: list[Notice] = []
        self.is_down = False

    def notify(self, notice: Notice) -> None:
        """Deliver through the outbox, as the watch does."""
        try:
            deliver(self.store, notice, self._send)
        except NotSent:
            return

    def _send(self, notice: Notice) -> None:
        if self.is_down:
            raise NotSent("503")
        self.sent.append(notice)

    @property
    def events(self) -> list[str]:
        """What was told, oldest first."""
        return [notice.event for notice in self.sent]


@pytest.fixture
def slack(store: Store) -> Slack:
    """Slack."""
    return Slack(store)


def alarm(condition: str = "paused") -> Alarm:
    """Something that is wrong."""
    return Alarm(
        condition=condition,
        title="Toy",
        headline=f"{condition}!",
        why="because",
        step="do it",
        over=f"not {condition} any more",
        runbook=condition,
        model="toy_model",
    )


def look(store: Store, slack: Slack, *wrong: str, minutes: int = 0) -> None:
    """Look once, some minutes later, and find this wrong."""
    update_alarms(
        store,
        PLACE,
        [alarm(condition) for condition in wrong],
        slack.notify,
        checked=("paused", "late"),
        now=NOW + timedelta(minutes=minutes),
    )


def test_one_message_while_it_lasts_and_one_when_it_is_over(store: Store, slack: Slack) -> None:
    """Three looks find it wrong, two do not."""
    for minutes in (0, 5, 10):
        look(store, slack, "paused", minutes=minutes)
    assert slack.events == ["paused"]
    for minutes in (15, 20):
        look(store, slack, minutes=minutes)
    assert slack.events == ["paused", "paused_over"]
    told, over = slack.sent
    assert (told.kind, over.kind) == (NoticeKind.BROKEN, NoticeKind.GOOD_NEWS)
    assert "not paused any more" in over.text
    assert "2026-11-27 06:00 UTC" in over.text


def test_what_comes_again_is_told_again(store: Store, slack: Slack) -> None:
    """Another time is another event, with a key of its own."""
    for minutes, wrong in ((0, ["late"]), (5, []), (10, ["late"])):
        look(store, slack, *wrong, minutes=minutes)
    assert slack.events == ["late", "late_over", "late"]
    assert len({notice.key for notice in slack.sent}) == 3


def test_two_conditions_are_two_messages(store: Store, slack: Slack) -> None:
    """One ends, the other goes on."""
    look(store, slack, "paused", "late")
    look(store, slack, "late", minutes=5)
    assert slack.events == ["paused", "late", "paused_over"]


def test_what_could_not_be_looked_at_stays_as_it_was(store: Store, slack: Slack) -> None:
    """Not to know is not to be well."""
    look(store, slack, "paused")
    update_alarms(store, PLACE, [], slack.notify, checked=("late",), now=NOW + timedelta(minutes=5))
    look(store, slack, "paused", minutes=10)
    assert slack.events == ["paused"]


def test_slack_down_delays_both_messages_and_loses_none(store: Store, slack: Slack) -> None:
    """They lie in the outbox."""
    slack.is_down = True
    look(store, slack, "paused")
    look(store, slack, minutes=5)
    assert slack.sent == []
    names = [info.key for info in store.children("outbox")[1] if ".retry-" in info.key]
    assert len(names) == 2


@pytest.mark.parametrize("dies_at", range(4))
def test_a_watch_that_dies_anywhere_tells_neither_twice_nor_never(
    store: Store, slack: Slack, dies_at: int
) -> None:
    """It is killed before its Nth write or message, and looks again later."""

    class Killed(BaseException):
        """The process is gone."""

    steps = {"left": dies_at}

    def step() -> None:
        if steps["left"] == 0:
            raise Killed
        steps["left"] -= 1

    class Dying(Store):
        def write(self, key: str, data: bytes) -> None:
            step()
            super().write(key, data)

    def notify(notice: Notice) -> None:
        step()
        slack.notify(notice)

    look(store, slack, "paused")
    with pytest.raises(Killed):
        update_alarms(
            Dying(store.uri),
            PLACE,
            [alarm("late")],
            notify,
            checked=("paused", "late"),
            now=NOW + timedelta(minutes=5),
        )
    look(store, slack, "late", minutes=10)
    assert sorted(slack.events) == ["late", "paused", "paused_over"]


def test_a_damaged_memory_is_made_anew(store: Store, slack: Slack) -> None:
    """What still is wrong is told, and the watch goes on."""
    store.write(watch_key(PLACE), b"{")
    look(store, slack, "paused")
    assert slack.events == ["paused"]
    assert read_alarm_state(store, PLACE, now=NOW + timedelta(days=1)).since == NOW
