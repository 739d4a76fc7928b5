"""The newest entry of the log, and every record, are held by what was written after them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from include.retraining.cli import tables
from include.retraining.decisions.alarm_state import find_alarm_state
from include.retraining.decisions.chain import newest_records
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.record_files import decision_keys
from include.retraining.exceptions import RegistryError, StoreRefused
from include.retraining.history.verify import verify
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.steps.close_run import close_run
from include.retraining.steps.decide import check_quality, deploy
from include.retraining.store import layout
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from include.retraining.watch.newest_seen import check_and_record_newest
from tests.support.run_factory import MODEL, decide, plant_run, run_ref, version_name

NEWEST = layout.promotion_key(MODEL, 2)
NOW = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def store(any_store: Store) -> Store:
    """A store with two promotions, on a folder and on S3."""
    store = initialise(any_store.uri, any_store.options)
    for day in (1, 2):
        decide(store, plant_run(store, day))
    return store


def alter(store: Store, key: str) -> bytes:
    """Change an object so that it is still readable, and return what it was."""
    data = store.read(key)
    changed = json.loads(data)
    changed["reason"] += ", says eve"
    store.write(key, json.dumps(changed).encode())
    return data


def problems(store: Store) -> tuple[str, ...]:
    """What `verify` finds."""
    return verify(store, MODEL).problems


def watch(store: Store) -> str | None:
    """Let the watch look once."""
    keys = decision_keys(store, MODEL)
    champion = PromotionLog(store, MODEL).champion()
    return check_and_record_newest(
        store, MODEL, champion=champion, newest=keys[0] if keys else None, now=NOW
    )


@pytest.mark.fault("N02")
def test_an_altered_newest_entry_is_found(store: Store) -> None:
    """The chain of the log is whole; the records say that its end is another (N02)."""
    assert (problems(store), watch(store)) == ((), None)
    intact = alter(store, NEWEST)
    assert PromotionLog(store, MODEL).champion() is not None
    (problem,) = problems(store)
    assert f"{NEWEST}: it was altered since it was seen" in problem
    with pytest.raises(RegistryError, match="it was altered"):
        watch(store)
    run = plant_run(store, 3)
    check_quality(store, run)
    with pytest.raises(RegistryError, match="it was altered"):
        deploy(store, run, actor="dag")
    store.write(NEWEST, intact)
    assert (problems(store), watch(store)) == ((), None)
    assert deploy(store, run, actor="dag").outcome is Outcome.PROMOTED


@pytest.mark.fault("G09")
@pytest.mark.parametrize("seen_by", ["a record", "the watch"])
def test_a_hold_that_disappears_releases_nothing(store: Store, seen_by: str) -> None:
    """The log without its rollback looks whole and free; whoever saw the hold says no (G09)."""
    Registry(store, MODEL).rollback(version_name(1), actor="ann", reason="complaints")
    if seen_by == "a record":
        assert decide(store, plant_run(store, 3)).outcome is Outcome.HELD
    else:
        assert watch(store) is None
    store.delete(layout.promotion_key(MODEL, 3))
    assert PromotionLog(store, MODEL).hold() is None
    run = plant_run(store, 4)
    check_quality(store, run)
    for look in (lambda: watch(store), lambda: deploy(store, run, actor="dag")):
        with pytest.raises(RegistryError, match=r"00000003\.json: it is missing since it was seen"):
            look()
    assert PromotionLog(store, MODEL).head() == 2
    if seen_by == "a record":
        assert "00000003.json: it is missing" in problems(store)[0]


@pytest.mark.fault("G09")
def test_records_do_not_cover_up_a_loss(store: Store) -> None:
    """Every record that comes after holds on to the entry that is gone."""
    store.delete(NEWEST)
    for day in (3, 4, 5):
        record = close_run(store, run_ref(day), Outcome.FAILED, "it broke")
        assert record.log_head is not None
        assert record.log_head.key == NEWEST


def test_what_a_person_set_aside_is_not_lost(store: Store) -> None:
    """The version before serves from then on, and runs promote again."""
    data = store.read(NEWEST)
    store.delete(NEWEST)
    assert problems(store) != ()
    store.create(f"models/{MODEL}/set-aside/00000002.json", data)
    assert (problems(store), watch(store)) == ((), None)
    record = decide(store, plant_run(store, 3))
    assert (record.outcome, record.log_head and record.log_head.key) == (Outcome.PROMOTED, NEWEST)
    assert (problems(store), watch(store)) == ((), None)


@pytest.mark.fault("N02")
@pytest.mark.parametrize("change", ["altered", "missing"])
def test_a_record_that_is_not_as_it_was_is_found(store: Store, change: str) -> None:
    """Each record but the newest is held by the next two (N02)."""
    for day in (3, 4):
        close_run(store, run_ref(day), Outcome.FAILED, "it broke")
    for key in decision_keys(store, MODEL)[1:]:
        data = store.read(key)
        alter(store, key) if change == "altered" else store.delete(key)
        assert [change in one for one in problems(store) if key in one] == [True]
        store.create(key, data) if change == "missing" else store.write(key, data)
    assert problems(store) == ()


@pytest.mark.fault("N02")
def test_the_watch_misses_the_newest_record(store: Store) -> None:
    """No record holds it yet; the watch saw it (N02)."""
    assert watch(store) is None
    key = decision_keys(store, MODEL)[0]
    data = store.read(key)
    store.delete(key)
    assert f"{key}: it is missing" in str(watch(store))
    store.create(key, data)
    assert watch(store) is None


def test_of_two_that_write_at_once_the_next_holds_both(store: Store) -> None:
    """A fork is no hole: neither end can be removed unnoticed."""
    for day in (3, 4):  # as if neither had seen the other
        record = close_run(store, run_ref(day), Outcome.FAILED, "it broke")
    ends = {seen.key for seen in close_run(store, run_ref(5), Outcome.FAILED, "it broke").after}
    assert ends == {run_ref(day).paths.decision(0) for day in (3, 4)}
    assert record.after != ()


def test_what_was_written_before_holds_nothing_and_is_read(store: Store) -> None:
    """Records and what the watch kept of an earlier release are sound."""
    for key in decision_keys(store, MODEL):
        old = json.loads(store.read(key))
        del old["after"], old["log_head"]
        store.write(key, json.dumps(old).encode())
        assert DecisionRecord.from_bytes(store.read(key), where=key).after == ()
    store.write(layout.watch_key(f"models/{MODEL}"), b'{"since": "2026-01-01T00:00:00Z"}')
    assert (problems(store), watch(store)) == ((), None)
    kept = find_alarm_state(store, f"models/{MODEL}")
    assert kept is not None
    assert kept.head is not None
    assert kept.head.key == NEWEST


def test_a_damaged_record_is_named_and_holds_nobody_up(store: Store) -> None:
    """It is one problem of `verify`; runs go on."""
    key = newest_records(store, MODEL)[0].key
    store.write(key, b"{")
    assert [key in problem for problem in problems(store)] == [True]
    assert decide(store, plant_run(store, 3)).outcome is Outcome.PROMOTED


def test_a_model_without_a_run_is_sound(any_store: Store) -> None:
    """Nothing was seen, so nothing is missing."""
    store = initialise(any_store.uri, any_store.options)
    assert (problems(store), watch(store)) == ((), None)


def test_who_may_not_read_records_verifies_the_log(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One who only serves is told what was checked, and what was not."""

    def refuse(store: Store, model: str) -> None:
        raise StoreRefused("denied")

    monkeypatch.setattr("include.retraining.history.verify.examine_records", refuse)
    check = verify(store, MODEL)
    assert (check.entries, check.records, check.problems) == (2, None, ())
    assert "records not readable" in "".join(tables.check(check))
