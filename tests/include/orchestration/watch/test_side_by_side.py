"""Many things are done side by side, for a limited time, and none holds another back."""

from __future__ import annotations

import threading

import pytest

from include.orchestration.watch import one_by_one, side_by_side
from include.orchestration.watch.side_by_side import each, in_turn
from include.retraining.exceptions import RetrainingError
from include.retraining.store.object_store import Store


def test_one_that_fails_holds_no_other_back() -> None:
    """The rest is done, and what went wrong is raised at the end."""
    done = []

    def act(item: str) -> str:
        if item == "b":
            raise ValueError("no")
        done.append(item)
        return item.upper()

    found = each(["a", "b", "c"], act)
    assert next(found) == ("a", "A")
    assert next(found) == ("c", "C")
    with pytest.raises(RetrainingError, match="ValueError: no"):
        next(found)
    assert sorted(done) == ["a", "c"]


def test_messages_of_things_done_side_by_side_are_sent_one_by_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None begins before the last one has arrived."""
    sending: list[int] = []
    together: list[int] = []
    others_begin = threading.Event()

    def send(_: Store, notice: int) -> None:
        sending.append(notice)
        others_begin.wait(0.01)
        together.append(len(sending))
        sending.remove(notice)

    monkeypatch.setattr(one_by_one, "deliver_notice", send)
    list(each(range(8), lambda number: one_by_one.deliver_in_turn(store, number)))  # type: ignore[arg-type]
    assert together == [1] * 8


def test_an_error_of_all_models_is_not_told_a_thousand_times() -> None:
    """It names some of them, and how many more there are."""

    def refuse(item: int) -> None:
        raise ValueError(f"no {item}")

    with pytest.raises(RetrainingError, match=r"no 0; .*; ValueError: no 19; and 30 more\Z"):
        list(each(range(50), refuse))


def test_a_pass_goes_on_where_the_last_one_ran_out_of_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each gets its turn, and the order is the usual one again once all had it."""
    clock = iter(range(10**6))
    monkeypatch.setattr(side_by_side, "AT_ONCE", 1)
    monkeypatch.setattr(side_by_side.time, "monotonic", lambda: next(clock))
    names = [f"model_{number}" for number in range(5)]

    def one_pass(seconds: float) -> list[str]:
        return [name for name, _ in in_turn(store, "a_task", names, str, seconds=seconds)]

    assert one_pass(4) == names[:3]
    assert one_pass(4) == [names[3], names[4], names[0]]
    assert one_pass(100) == [*names[1:], names[0]]
    assert one_pass(100) == names


def test_one_that_is_gone_leaves_its_place_to_the_next(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that was removed meanwhile holds nothing up."""
    assert list(in_turn(store, "a_task", ["b", "c"], str, seconds=0)) == []
    assert [name for name, _ in in_turn(store, "a_task", ["a", "c"], str)] == ["c", "a"]
