"""A refused delivery is told on one line that ends between two violations, wherever it is read."""

from __future__ import annotations

import logging

import pytest

from include.retraining.data import refusal
from include.retraining.data.refusal import refused
from include.retraining.decisions.phrases import decision_sentence
from include.retraining.decisions.record import Outcome
from include.retraining.notifications.decision_notice import notice_for
from include.retraining.notifications.notice import Links
from include.retraining.steps.close_run import close_run
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.run_factory import run_ref

KEYS = "for example key 11, 12, 13, 14, 15"


def violations(count: int) -> list[str]:
    """What a contract says of some columns."""
    return [f"column_{number}: must not be missing: 40 rows, {KEYS}" for number in range(count)]


ONE = f"column_0: must not be missing: 40 rows, {KEYS}"
TOLD = {
    1: f"the data breaks its contract: {ONE}",
    3: (
        f"the data breaks its contract in 3 ways: (1) {ONE}; "
        f"(2) column_1: must not be missing: 40 rows, {KEYS}; "
        f"(3) column_2: must not be missing: 40 rows, {KEYS}"
    ),
    30: (
        f"the data breaks its contract in 30 ways: (1) {ONE}; "
        f"(2) column_1: must not be missing: 40 rows, {KEYS}; "
        f"(3) column_2: must not be missing: 40 rows, {KEYS}; "
        f"(4) column_3: must not be missing: 40 rows, {KEYS}; "
        f"(5) column_4: must not be missing: 40 rows, {KEYS}; "
        f"(6) column_5: must not be missing: 40 rows, {KEYS}; "
        "and 24 more in the task's log"
    ),
}


@pytest.mark.parametrize(("count", "told"), TOLD.items())
def test_violations_are_numbered_and_told_whole(folder_store: Store, count: int, told: str) -> None:
    """Record, message and `why` have the same words, none of them cut in the middle."""
    assert str(refused(violations(count))) == told
    store = initialise(folder_store.uri, {})
    record = close_run(store, run_ref(1), Outcome.DATA_REJECTED, f"validate: {told}")
    assert record.reason == f"validate: {told}"
    notice = notice_for(record, Links())
    assert notice is not None
    assert f"Why: validate: {told}\n" in notice.text
    assert told in decision_sentence(record, with_reason=True)


def test_what_does_not_fit_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The list has a line for each violation; a short one needs none."""
    caplog.set_level(logging.INFO, logger=refusal.__name__)
    refused(violations(3))
    assert caplog.messages == []
    refused(violations(30))
    (message,) = caplog.messages
    assert message.splitlines()[0] == "the data breaks its contract:"
    assert message.splitlines()[30] == f"(30) column_29: must not be missing: 40 rows, {KEYS}"


def test_one_endless_violation_leaves_room_for_the_count() -> None:
    """A rule may hold many keys, and a key may hold the end of a line."""
    told = str(refused(["rows:\nkey " + "x" * 5_000, *violations(1_999)]))
    assert told.startswith("the data breaks its contract in 2,000 ways: (1) rows: key xxx")
    assert told.endswith("…; and 1,999 more in the task's log")
    assert len(told) < 590
