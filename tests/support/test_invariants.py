"""Each invariant is noticed when it is broken: a check that cannot fail proves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from include.retraining.decisions.record import Outcome
from include.retraining.exceptions import ArtifactError, RetrainingError
from include.retraining.notifications.decision_notice import notice_for
from include.retraining.notifications.notice import Links
from include.retraining.notifications.outbox import deliver
from include.retraining.steps.close_run import close_run
from include.retraining.store import layout
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.invariants import (
    Work,
    check_invariants,
    check_no_canary,
    check_one_live_job,
    check_told,
    check_versions_unchanged,
    reading,
    version_digests,
)
from tests.support.run_factory import MODEL, decide, plant_run, run_ref, version_name


@pytest.fixture
def store(folder_store: Store) -> Store:
    """A store with two promotions."""
    made = initialise(folder_store.uri)
    for day in (1, 2):
        decide(made, plant_run(made, day))
    check_invariants(made, MODEL, ended=[run_ref(1), run_ref(2)])
    return made


def model_file(number: int) -> str:
    """Key of the file of one day's version."""
    return f"{layout.version_folder(MODEL, version_name(number))}/0-1/model.skops"


def _damage_champion(store: Store) -> None:
    store.write(model_file(2), b"model X")


def _forget_entry(store: Store) -> None:
    store.delete(layout.promotion_key(MODEL, 1))


def _forget_record(store: Store) -> None:
    store.delete(run_ref(2).paths.decision(0))


def _edit_entry(store: Store) -> None:
    key = layout.promotion_key(MODEL, 1)
    store.write(key, store.read(key).replace(b'"actor": "', b'"actor": "x'))


def _edit_record(store: Store) -> None:
    key = run_ref(2).paths.decision(0)
    data = store.read(key)
    assert data.count(b'"judged_against": 1') == 1
    store.write(key, data.replace(b'"judged_against": 1', b'"judged_against": 0'))


@pytest.mark.parametrize(
    "damage", [_damage_champion, _forget_entry, _forget_record, _edit_entry, _edit_record]
)
def test_what_the_store_shows_is_noticed(store: Store, damage: Callable[[Store], None]) -> None:
    """V1, V2, V3, V6 and V10, broken one by one."""
    damage(store)
    with pytest.raises((AssertionError, RetrainingError)):
        check_invariants(store, MODEL, ended=[run_ref(1), run_ref(2)])


def test_a_version_that_changed_is_noticed(store: Store) -> None:
    """V4: also when its manifest changed with it; what comes new is no change."""
    before = version_digests(store, MODEL)
    decide(store, plant_run(store, 3))
    check_versions_unchanged(store, MODEL, before)
    store.write(model_file(1), b"model 9")
    with pytest.raises(AssertionError, match="V4"):
        check_versions_unchanged(store, MODEL, before)


@pytest.mark.parametrize(
    ("second", "is_sound"),
    [
        (Work("train v1", 2.0, 3.0), True),
        (Work("train v1", 1.5, 3.0), False),
        (Work("train v2", 1.5, 3.0), True),
        (Work("train v1", 0.5, None), False),
    ],
)
def test_two_jobs_at_a_time_are_noticed(second: Work, is_sound: bool) -> None:
    """V5: one after the other is allowed, and so is another step."""
    jobs = [Work("train v1", 1.0, 2.0), second]
    if is_sound:
        check_one_live_job(jobs)
    else:
        with pytest.raises(AssertionError, match="V5"):
            check_one_live_job(jobs)


def test_what_was_not_told_or_told_twice_is_noticed(store: Store) -> None:
    """V7: a record without a message, and a message more often than somebody sent it."""
    texts: list[str] = []
    for day in (1, 2):
        with pytest.raises(AssertionError, match="was never told"):
            check_told(store, MODEL, texts)
        record = close_run(store, run_ref(day), Outcome.FAILED, "only to read it")
        deliver(store, notice_for(record, Links()), lambda notice: texts.append(notice.text))
    check_told(store, MODEL, texts)
    with pytest.raises(AssertionError, match="told 2 times"):
        check_told(store, MODEL, [*texts, texts[0]])


def test_a_secret_is_noticed() -> None:
    """V8: by the names of the place and of the canary, never by its value."""
    canaries = {"password": "c4nary"}
    check_no_canary(canaries, [("a.log", b"all is well")])
    with pytest.raises(AssertionError, match=r"^V8: password in b\.log"):
        check_no_canary(canaries, [("a.log", b""), ("b.log", b"Authorization: c4nary")])


def test_a_reader_of_something_broken_is_noticed(store: Store) -> None:
    """V9: a version that is not whole."""
    with pytest.raises(ArtifactError), reading(store, MODEL):
        _damage_champion(store)


def test_a_reader_that_went_back_is_noticed(store: Store) -> None:
    """V9: the newest entry is gone, before or while it is looked at."""

    def go_back() -> None:
        with reading(store, MODEL) as seen:
            while not seen:
                time.sleep(0.001)
            store.delete(layout.promotion_key(MODEL, 2))

    with pytest.raises((AssertionError, RetrainingError), match=r"V9|00000002\.json is missing"):
        go_back()
