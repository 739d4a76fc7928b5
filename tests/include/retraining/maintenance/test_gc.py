"""What is removed, and all that never is."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from include.retraining.exceptions import EvidenceError, InfrastructureError, NotSent, RegistryError
from include.retraining.history.verify import verify
from include.retraining.maintenance import gc
from include.retraining.maintenance.gc import find_garbage, find_outbox_garbage, models_in, remove
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.outbox import deliver, waiting
from include.retraining.registry.promotion import Registry
from include.retraining.registry.removal import RemovalMark
from include.retraining.steps.decide import check_quality, deploy
from include.retraining.store import layout
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.include.retraining.notifications.test_outbox import make_notice
from tests.support.invariants import check_invariants
from tests.support.run_factory import MODEL, decide, plant_run, plant_version, version_name

LATER = datetime.now(UTC) + timedelta(days=2)


@pytest.fixture(autouse=True)
def nothing_settles(monkeypatch: pytest.MonkeyPatch) -> None:
    """No promotion is under way here, so none is waited for."""
    monkeypatch.setattr(gc, "SETTLE_SECONDS", 0)


def test_what_was_promoted_meanwhile_stays(store: Store) -> None:
    """A version that is promoted between the look and the removal stays, with all its files."""
    decide(store, plant_run(store, 1))
    late = plant_run(store, 2)
    for day in range(3, 6):
        plant_version(store, day)
    garbage = find_garbage(store, MODEL, keep=1, now=LATER)
    assert {item.version for item in garbage} == {(MODEL, version_name(day)) for day in (2, 3, 4)}
    decide(store, late)
    went = remove(store, garbage)
    assert {item.version for item in went} == {(MODEL, version_name(day)) for day in (3, 4)}
    assert verify(store, MODEL).problems == ()
    check_invariants(store, MODEL)


def test_what_is_being_removed_is_not_promoted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While its removal goes on a version is not promoted; another try finds it gone or not."""
    run = plant_run(store, 1)
    verdict = check_quality(store, run)
    assert verdict.passed
    plant_version(store, 2)
    refused: list[str] = []

    def promote_meanwhile(_: float) -> None:
        with pytest.raises(InfrastructureError, match="is being removed by `gc`") as found:
            deploy(store, run, actor="dag")
        refused.append(str(found.value))

    monkeypatch.setattr(gc.time, "sleep", promote_meanwhile)
    went = remove(store, find_garbage(store, MODEL, keep=1, now=LATER))
    assert refused
    assert {item.version for item in went} == {(MODEL, version_name(1))}
    with pytest.raises(EvidenceError, match="which is missing"):
        deploy(store, run, actor="dag")


def test_the_mark_of_a_removal_that_was_killed_means_nothing_in_the_end(store: Store) -> None:
    """An hour later a version that was marked and not removed may serve."""
    run = plant_run(store, 1)
    mark = RemovalMark(at=datetime.now(UTC) - timedelta(hours=2))
    store.write(layout.removal_key(MODEL, version_name(1)), mark.to_bytes())
    assert decide(store, run).serving is not None


def versions(store: Store) -> set[str]:
    """The versions that have a manifest."""
    names = store.children(layout.version_folder(MODEL, "").rstrip("/"))[0]
    return {name for name in names if store.exists(layout.version_manifest_key(MODEL, name))}


@pytest.mark.fault("G20")
def test_what_is_kept(store: Store) -> None:
    """Every version that ever served and the newest few stay; the rest goes (G20)."""
    for day in (1, 2):
        decide(store, plant_run(store, day))
    for day in range(3, 9):
        plant_version(store, day)
    before = {info.key for info in store.objects()}
    garbage = find_garbage(store, MODEL, keep=2, now=LATER)
    assert {info.key for info in store.objects()} == before  # looking removes nothing
    assert remove(store, garbage) == garbage != []
    assert versions(store) == {version_name(day) for day in (1, 2, 7, 8)}
    gone = before - {info.key for info in store.objects()}
    assert all("/versions/" in key for key in gone)  # never a run, a decision or an entry
    check_invariants(store, MODEL)
    Registry(store, MODEL).rollback(version_name(1), actor="ann", reason="it is still there")
    assert find_garbage(store, MODEL, keep=2, now=LATER) == []


def test_nothing_young_is_garbage(store: Store) -> None:
    """A version or an attempt of today may belong to a run that is under way."""
    for day in range(1, 4):
        plant_version(store, day)
    store.write(f"{layout.version_folder(MODEL, version_name(9))}/0-1/model.skops", b"half")
    assert find_garbage(store, MODEL, keep=1) == []
    assert len(find_garbage(store, MODEL, keep=1, now=LATER)) == 5


def test_unfinished_attempts_go(store: Store) -> None:
    """The files of an attempt that no manifest names go; those of the named attempt stay."""
    plant_version(store, 1)
    folder = layout.version_folder(MODEL, version_name(1))
    store.write(f"{folder}/0-2/model.skops", b"second")
    store.write(f"{layout.version_folder(MODEL, version_name(2))}/0-1/model.skops", b"lost")
    store.write(layout.version_claim_key(MODEL, version_name(2), 1), b"who claimed it")
    garbage = find_garbage(store, MODEL, now=LATER)
    assert {item.key.split("/versions/")[1] for item in garbage} == {
        f"{version_name(1)}/0-2/model.skops",
        f"{version_name(2)}/0-1/model.skops",
        f"{version_name(2)}/claim-001.json",
    }
    assert {item.why for item in garbage} == {"an unfinished attempt"}
    remove(store, garbage)
    check_invariants(store, MODEL)


def test_a_version_loses_its_manifest_first(store: Store) -> None:
    """Killed while it removes a version, it leaves an unfinished attempt and no broken version."""
    for day in (1, 2):
        plant_version(store, day)
    garbage = find_garbage(store, MODEL, keep=1, now=LATER)
    remove(store, garbage[:1])
    assert versions(store) == {version_name(2)}
    check_invariants(store, MODEL)
    remove(store, find_garbage(store, MODEL, keep=1, now=LATER))
    assert not store.objects(layout.version_folder(MODEL, version_name(1)))


def test_a_damaged_manifest_is_left_for_a_person(store: Store) -> None:
    """A version whose manifest cannot be read is not removed."""
    plant_version(store, 1)
    store.write(layout.version_manifest_key(MODEL, version_name(1)), b"{")
    assert find_garbage(store, MODEL, now=LATER) == []


def test_a_damaged_log_stops_it(store: Store) -> None:
    """While the log cannot be read nobody knows what it names, so nothing is removed."""
    for day in (1, 2):
        decide(store, plant_run(store, day))
    store.delete(layout.promotion_key(MODEL, 1))
    with pytest.raises(RegistryError):
        find_garbage(store, MODEL, now=LATER)


def test_litter_of_killed_writers_goes(folder_store: Store) -> None:
    """What the storage library left half-written in a folder goes once it is a day old."""
    store = initialise(folder_store.uri, {})
    decide(store, plant_run(store, 1))
    root = store.local_path("")
    assert root is not None
    old = [root / f"models/{MODEL}/promotions/00000002.json#1", root / "outbox/x.json#12"]
    young = root / f"models/{MODEL}/decisions/x.json#1"
    for path in (*old, young):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"half")
    for path in old:
        two_days_ago = time.time() - 2 * 86400
        os.utime(path, (two_days_ago, two_days_ago))
    garbage = [*find_garbage(store, MODEL), *find_outbox_garbage(store)]
    assert [item.key for item in garbage] == [path.relative_to(root).as_posix() for path in old]
    assert remove(store, garbage) == garbage
    assert not any(path.exists() for path in old)
    assert young.exists()


def test_models_in(store: Store) -> None:
    """The models of a store are those that left anything there."""
    assert models_in(store) == []
    plant_version(store, 1)
    assert models_in(store) == [MODEL]


def test_no_mark_expires_before_its_version_went(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So few are marked at once that all of them are gone long before their marks mean nothing."""
    decide(store, plant_run(store, 1))
    for day in range(2, 9):
        plant_version(store, day)
    marked: list[int] = []

    def count_marks(_: float) -> None:
        marks = [info.key for info in store.objects() if info.key.endswith("/removal.json")]
        marked.append(len(marks))

    monkeypatch.setattr(gc, "VERSIONS_AT_ONCE", 2)
    monkeypatch.setattr(gc.time, "sleep", count_marks)
    went = remove(store, find_garbage(store, MODEL, keep=2, now=LATER))
    assert marked == [2, 2, 1]
    assert {item.version for item in went} == {(MODEL, version_name(day)) for day in range(2, 7)}
    assert not [info for info in store.objects() if info.key.endswith("/removal.json")]


@pytest.mark.fault("G20")
def test_a_thousand_versions(folder_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand versions are sorted out, and the champion stays (G20)."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    store = initialise(folder_store.uri, {})
    decide(store, plant_run(store, 1))
    for number in range(2, 1002):
        plant_version(store, number)
    garbage = find_garbage(store, MODEL, keep=5, now=LATER)
    remove(store, garbage)
    assert versions(store) == {version_name(number) for number in (1, *range(997, 1002))}


def test_messages_sent_long_ago_go_and_waiting_ones_stay(store: Store) -> None:
    """The mark goes last: whoever is killed between sends nothing twice."""

    def refuse(notice: Notice) -> None:
        raise NotSent("503")

    deliver(store, make_notice("old"), lambda notice: None)
    with pytest.raises(NotSent):
        deliver(store, make_notice("waits"), refuse)
    assert find_outbox_garbage(store) == []
    garbage = find_outbox_garbage(store, now=datetime.now(UTC) + timedelta(days=91))
    assert [item.key.rpartition("/")[2] for item in garbage] == [
        "old.claim-1.json",
        "old.json",
        "old.sent.json",
    ]
    remove(store, garbage[:-1])
    assert not deliver(store, make_notice("old"), refuse)
    remove(store, find_outbox_garbage(store, now=datetime.now(UTC) + timedelta(days=91)))
    assert [notice.key for notice in waiting(store)] == ["waits"]


@pytest.mark.fault("N07")
def test_no_record_is_ever_garbage(store: Store) -> None:
    """In ten years it still finds nothing to remove of runs, decisions and the log."""
    for day in range(1, 4):
        decide(store, plant_run(store, day))
    garbage = find_garbage(store, MODEL, keep=1, now=LATER + timedelta(days=3650))
    assert all("/versions/" in item.key for item in garbage)
    plant_version(store, 9)
    plant_version(store, 8)
    garbage = find_garbage(store, MODEL, keep=1, now=LATER + timedelta(days=3650))
    assert {item.key.split("/")[2] for item in garbage} == {"versions"}
