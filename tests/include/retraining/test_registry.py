"""The registry: who serves, and every way in which that changes or does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from include.retraining import layout
from include.retraining.decide import check_quality
from include.retraining.exceptions import (
    ArtifactError,
    ConfigError,
    EvidenceError,
    Held,
    NotFound,
    RegistryError,
    StorageError,
    StoreNotInitialised,
    Superseded,
)
from include.retraining.manifest import read_manifest
from include.retraining.promotions import PromotionEntry, PromotionKind
from include.retraining.records import Outcome, RunRef, close_run
from include.retraining.registry import Registry, initialise, open_store
from include.retraining.report import EvaluationReport
from include.retraining.storage import Store
from include.retraining.verdict import Answer
from tests.invariants import check_invariants
from tests.planted import MODEL, plant_run, plant_version, run_ref, saved_model, version_name


@pytest.fixture
def store(any_store: Store) -> Store:
    """An initialised store, on a folder and on S3."""
    return initialise(any_store.uri, any_store.options)


@pytest.fixture
def folder(folder_store: Store) -> Store:
    """An initialised store on a folder."""
    return initialise(folder_store.uri, {})


def promote(store: Store, run: RunRef, **changes: Any) -> PromotionEntry:
    """Promote a planted run as its deploy task would."""
    report = EvaluationReport.from_bytes(store.read(run.paths.evaluation), where="evaluation")
    if "verdict" not in changes:
        changes["verdict"] = check_quality(store, run)
    arguments: dict[str, Any] = {
        "manifest": read_manifest(store, run.paths),
        "report": report,
        "actor": "retrain_toy_model",
        "reason": "it is better",
    }
    return Registry(store, MODEL).promote(**{**arguments, **changes})


def promote_days(store: Store, *days: int) -> list[PromotionEntry]:
    """Promote the runs of several days, one after the other, and close them."""
    entries = []
    for day in days:
        run = plant_run(store, day)
        entries.append(promote(store, run))
        close_run(store, run, Outcome.PROMOTED, "promoted")
    return entries


# The place.


@pytest.mark.fault("F08")
def test_a_store_must_be_initialised(any_store: Store) -> None:
    """An empty place is an error and never a model without a champion."""
    with pytest.raises(StoreNotInitialised, match=r"is not a store.*init"):
        open_store(any_store.uri, any_store.options)
    with pytest.raises(StoreNotInitialised):
        Registry(any_store, MODEL).champion()


def test_initialising_twice_changes_nothing(any_store: Store) -> None:
    """The marker of a store stays what it was."""
    initialise(any_store.uri, any_store.options)
    marker = any_store.read("store.json")
    initialise(any_store.uri, any_store.options)
    assert open_store(any_store.uri, any_store.options).read("store.json") == marker


def test_initialising_makes_the_folder(tmp_path: Path) -> None:
    """A folder that is not there yet is made."""
    initialise(f"file://{tmp_path}/a/b", {})
    assert Registry(open_store(f"file://{tmp_path}/a/b", {}), MODEL).champion() is None


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A place that cannot be a folder is named in the error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be made"):
        initialise(f"file://{tmp_path}/file/store", {})


def test_an_unreadable_marker(folder: Store) -> None:
    """A damaged marker is an error."""
    folder.write("store.json", b"{}")
    with pytest.raises(StoreNotInitialised, match="not a readable store"):
        open_store(folder.uri, {})


@pytest.mark.fault("F08")
def test_a_bucket_that_is_not_there(s3_options: dict[str, str]) -> None:
    """A wrong bucket is an error."""
    with pytest.raises(StorageError):
        open_store("s3://no-such-bucket/prefix", s3_options)


@pytest.mark.fault("F08")
def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A wrong folder is an error that names `init`."""
    with pytest.raises(StorageError, match="init"):
        open_store(f"file://{tmp_path}/nowhere", {})


def test_options_come_from_the_environment(
    any_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without options, those of the environment open the store that the environment names."""
    monkeypatch.setenv("RETRAINING_STORE", any_store.uri)
    monkeypatch.setenv("RETRAINING_STORE_OPTIONS", json.dumps(any_store.options))
    initialise(any_store.uri)
    assert open_store().uri == any_store.uri
    monkeypatch.delenv("RETRAINING_STORE")
    with pytest.raises(ConfigError, match="RETRAINING_STORE"):
        open_store()


@pytest.mark.parametrize("name", ["", "Toy", "../toy", "toy\n", "a/b"])
def test_a_model_name_is_a_plain_word(folder: Store, name: str) -> None:
    """A name that could lead anywhere else is refused."""
    with pytest.raises(NotFound):
        Registry(folder, name)


# Promotion.


def test_nothing_serves_at_first(store: Store) -> None:
    """In an initialised store a model without a log has no champion."""
    registry = Registry(store, MODEL)
    assert registry.champion() is None
    assert registry.serving() is None
    assert registry.history() == []
    assert registry.best_of_last("accuracy") is None


def test_promotions_make_a_chain(store: Store) -> None:
    """Each promotion is one more entry behind the one that it was judged against."""
    promote_days(store, 1, 2, 3)
    registry = Registry(store, MODEL)
    champion = registry.champion()
    assert champion is not None
    assert (champion.generation, champion.version) == (3, version_name(3))
    assert (champion.metric, champion.value, champion.data_date) == ("accuracy", 0.86, "2026-01-04")
    assert [entry.version for entry in registry.history()] == [version_name(n) for n in (1, 2, 3)]
    check_invariants(store, MODEL, ended=[run_ref(1), run_ref(2), run_ref(3)])


@pytest.mark.fault("F17")
def test_promoting_again_returns_the_same_entry(store: Store) -> None:
    """A task that is tried again gets the entry that its run has (F17, G03)."""
    run = plant_run(store, 1)
    first = promote(store, run)
    assert promote(store, run) == first
    promote_days(store, 2)
    assert promote(store, run) == first
    assert len(Registry(store, MODEL).history()) == 2


@pytest.mark.fault("F18")
def test_who_is_slower_is_superseded(store: Store) -> None:
    """A challenger that was judged against an earlier champion is not promoted."""
    slow = plant_run(store, 2)
    promote_days(store, 1)
    with pytest.raises(Superseded, match=f"version {version_name(1)} became generation 1"):
        promote(store, slow)
    assert Registry(store, MODEL).serving().generation == 1  # type: ignore[union-attr]


def test_what_was_not_passed_is_not_promoted(folder: Store) -> None:
    """A verdict that is a no promotes nothing, whoever asks."""
    run = plant_run(folder, 1, report={"challenger.metrics.accuracy": 0.5})
    with pytest.raises(RegistryError, match="did not pass"):
        promote(folder, run)
    assert Registry(folder, MODEL).champion() is None


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("verdict is of another run", {"run_id": "other"}),
        ("verdict is of another run", {"fingerprint": "other"}),
        ("verdict is of another evaluation", {"report_digest": "other"}),
        ("verdict is by other rules", {"policy_digest": "other"}),
        ("verdict is against another champion", {"judged_against": 1}),
    ],
)
def test_a_verdict_of_something_else(folder: Store, what: str, changes: dict[str, Any]) -> None:
    """A verdict that passed something else promotes nothing."""
    run = plant_run(folder, 1)
    verdict = check_quality(folder, run).model_copy(update=changes)
    with pytest.raises(RegistryError, match=what):
        promote(folder, run, verdict=verdict)
    assert Registry(folder, MODEL).champion() is None


@pytest.mark.parametrize(
    ("what", "changes"),
    [
        ("evaluation is of another run", {"run_id": "other"}),
        ("evaluation is of another model", {"model": "other"}),
    ],
)
def test_an_evaluation_of_something_else(folder: Store, what: str, changes: dict[str, Any]) -> None:
    """An evaluation of another run or model promotes nothing."""
    run = plant_run(folder, 1)
    data = folder.read(run.paths.evaluation)
    report = EvaluationReport.from_bytes(data, where="x").model_copy(update=changes)
    with pytest.raises(RegistryError, match=what):
        promote(folder, run, report=report)


def test_an_evaluation_of_another_version(folder: Store) -> None:
    """An evaluation of another version than the plan's promotes nothing."""
    run = plant_run(folder, 1)
    data = folder.read(run.paths.evaluation)
    report = EvaluationReport.from_bytes(data, where="x")
    other = report.challenger.model_copy(update={"version": "other"})
    with pytest.raises(RegistryError, match="evaluation is of another version"):
        promote(folder, run, report=report.model_copy(update={"challenger": other}))


@pytest.mark.fault("M04")
@pytest.mark.parametrize("damage", [b"model X", b"", None])
def test_a_damaged_version_is_not_promoted(store: Store, damage: bytes | None) -> None:
    """A version with a flipped byte, cut short or lost is not promoted."""
    run = plant_run(store, 1)
    key = f"{layout.version_folder(MODEL, version_name(1))}/0-1/model.skops"
    store.delete(key)
    if damage is not None:
        store.write(key, damage)
    with pytest.raises(ArtifactError):
        promote(store, run)
    assert Registry(store, MODEL).champion() is None


@pytest.mark.fault("M08")
def test_a_version_of_other_code_is_not_promoted(folder: Store) -> None:
    """A version that was not made from what the run pinned is not promoted (M08)."""
    plant_version(folder, 1, seed=99)
    with pytest.raises(ArtifactError, match="seed"):
        promote(folder, plant_run(folder, 1))


def test_a_lost_version_is_not_promoted(folder: Store) -> None:
    """A version without a manifest is not promoted."""
    run = plant_run(folder, 1)
    verdict = check_quality(folder, run)
    folder.delete(layout.version_manifest_key(MODEL, version_name(1)))
    with pytest.raises(NotFound):
        promote(folder, run, verdict=verdict)


# Old data, and what a person rolled back.


@pytest.mark.fault("G16")
def test_older_data_does_not_replace_newer(store: Store) -> None:
    """A backfilled or cleared old run is superseded by the newer data that serves (G16)."""
    promote_days(store, 5)
    with pytest.raises(Superseded, match=r"data is of 2026-01-03.*2026-01-06"):
        promote(store, plant_run(store, 2))


@pytest.mark.fault("G16")
def test_a_forced_run_with_a_reason_may_use_older_data(folder: Store) -> None:
    """Forcing with a reason lets older data serve; forcing without one does not."""
    promote_days(folder, 5)
    with pytest.raises(Superseded):
        promote(folder, plant_run(folder, 2, force_retrain=True))
    entry = promote(folder, plant_run(folder, 3, force_retrain=True, reason="the new data is bad"))
    assert entry.version == version_name(3)


def test_the_same_date_may_be_promoted_again(folder: Store) -> None:
    """A corrected delivery of the same day replaces the first."""
    promote_days(folder, 1)
    entry = promote(folder, plant_run(folder, 2, date=date(2026, 1, 2)))
    assert entry.generation == 2


def test_automation_does_not_undo_a_rollback(store: Store) -> None:
    """A version that a person rolled back serves again only when a person says so."""
    promote_days(store, 1, 2)
    registry = Registry(store, MODEL)
    registry.rollback(version_name(1), actor="ann", reason="it refuses everyone")
    again = plant_run(store, 3)
    manifest = read_manifest(store, again.paths)
    with pytest.raises(Superseded, match=r"rolled back by ann \(it refuses everyone\)"):
        registry._require_newer(manifest, plant_version(store, 2), registry.entry(3))
    registry.rollback(version_name(2), actor="ann", reason="it was the data")
    assert registry._rollback_of(plant_version(store, 2)) is None


# Rollback.


@pytest.mark.fault("G10")
def test_rollback_is_one_more_entry(store: Store) -> None:
    """A rollback lets an earlier version serve, with the same files and score, and says who."""
    first, _ = promote_days(store, 1, 2)
    registry = Registry(store, MODEL)
    entry = registry.rollback(version_name(1), actor="ann", reason="complaints")
    assert (entry.generation, entry.kind) == (3, PromotionKind.ROLLBACK)
    assert (entry.version, entry.version_digest) == (first.version, first.version_digest)
    assert (entry.metric, entry.value, entry.data_date) == ("accuracy", 0.86, first.data_date)
    assert (entry.actor, entry.reason, entry.verdict_digest) == ("ann", "complaints", None)
    assert registry.champion() == entry
    check_invariants(store, MODEL)


def test_rollback_again_returns_the_same_entry(folder: Store) -> None:
    """A rollback that is tried again by the same actor for the same reason is the same one."""
    promote_days(folder, 1, 2)
    registry = Registry(folder, MODEL)
    entry = registry.rollback(version_name(1), actor="ann", reason="complaints")
    assert registry.rollback(version_name(1), actor="ann", reason="complaints") == entry
    with pytest.raises(RegistryError, match="serves already"):
        registry.rollback(version_name(1), actor="bob", reason="complaints")


def test_a_request_makes_one_entry(folder: Store) -> None:
    """A rollback whose answer was lost is found again; another one behind the same entry loses."""
    promote_days(folder, 1, 2)
    registry = Registry(folder, MODEL)
    asked: dict[str, Any] = {"actor": "ann", "reason": "complaints", "seen": 2}
    entry = registry.rollback(version_name(1), **asked, request="rollback_model/a")
    assert registry.rollback(version_name(1), **asked, request="rollback_model/a") == entry
    for other in ("rollback_model/b", None):
        with pytest.raises(Superseded, match="ann was faster"):
            registry.rollback(version_name(1), **asked, request=other)
    released = registry.release(actor="ann", reason="mended", request="release_model/a")
    assert released.request == "release_model/a"
    assert len(registry.history()) == 4


@pytest.mark.parametrize(
    ("version", "actor", "reason", "error", "text"),
    [
        (version_name(1), "", "x", RegistryError, "actor and a reason"),
        (version_name(1), "ann", "  ", RegistryError, "actor and a reason"),
        (version_name(1), "ann\nbob", "x", RegistryError, "the actor is no name"),
        (version_name(2), "ann", "x", RegistryError, "serves already"),
        (version_name(9), "ann", "x", NotFound, "never served"),
        ("../../etc", "ann", "x", NotFound, "never served"),
    ],
)
def test_rollbacks_that_are_refused(
    folder: Store, version: str, actor: str, reason: str, error: type[Exception], text: str
) -> None:
    """A rollback needs an actor, a reason, and a version that served and does not serve now."""
    promote_days(folder, 1, 2)
    plant_version(folder, 9)
    with pytest.raises(error, match=text):
        Registry(folder, MODEL).rollback(version, actor=actor, reason=reason)
    assert len(Registry(folder, MODEL).history()) == 2


def test_no_rollback_to_damaged_files(folder: Store) -> None:
    """A version whose manifest or files changed since it served cannot serve again."""
    promote_days(folder, 1, 2)
    registry = Registry(folder, MODEL)
    key = f"{layout.version_folder(MODEL, version_name(1))}/0-1/model.skops"
    good = folder.read(key)
    folder.write(key, b"model X")
    with pytest.raises(ArtifactError, match="altered"):
        registry.rollback(version_name(1), actor="ann", reason="x")
    folder.write(key, good)
    manifest = layout.version_manifest_key(MODEL, version_name(1))
    folder.write(manifest, folder.read(manifest).replace(b'"train_rows": 1000', b'"train_rows": 1'))
    with pytest.raises(ArtifactError, match="altered"):
        registry.rollback(version_name(1), actor="ann", reason="x")


def test_no_rollback_before_the_first_promotion(folder: Store) -> None:
    """Where nothing serves there is nothing to go back from."""
    with pytest.raises(RegistryError, match="nothing serves yet"):
        Registry(folder, MODEL).rollback(version_name(1), actor="ann", reason="x")


# The hold, and its release.


def test_a_rollback_holds_promotion_until_a_release(store: Store) -> None:
    """No run promotes behind a rollback; a release leaves what serves, and the next promotes."""
    registry = Registry(store, MODEL)
    assert registry.hold() is None
    promote_days(store, 1, 2)
    assert registry.hold() is None
    rollback = registry.rollback(version_name(1), actor="ann", reason="complaints")
    assert registry.hold() == rollback
    with pytest.raises(Held, match=r"ann rolled back .*\(complaints\); .*`release_model`"):
        promote(store, plant_run(store, 3))
    release = registry.release(actor="bob", reason="labels repaired")
    assert (release.generation, release.kind, release.version) == (
        4,
        PromotionKind.RELEASE,
        version_name(1),
    )
    assert registry.hold() is None
    assert [entry.generation for entry in promote_days(store, 4)] == [5]
    check_invariants(store, MODEL)


def test_what_is_promoted_unjudged_keeps_the_hold(folder: Store) -> None:
    """Only a release ends a hold, whatever else a person does meanwhile."""
    promote_days(folder, 1, 2)
    registry = Registry(folder, MODEL)
    rollback = registry.rollback(version_name(1), actor="ann", reason="complaints")
    plant_version(folder, 3, model_bytes=saved_model())
    registry.promote_unjudged(version_name(3), actor="ann", reason="champion is lost")
    assert registry.hold() == rollback
    with pytest.raises(Held):
        promote(folder, plant_run(folder, 4))


def test_a_release_is_made_once(folder: Store) -> None:
    """The same release by the same person is the same one; without a hold there is none."""
    promote_days(folder, 1, 2)
    registry = Registry(folder, MODEL)
    with pytest.raises(RegistryError, match="nothing is on hold"):
        registry.release(actor="ann", reason="mended")
    registry.rollback(version_name(1), actor="ann", reason="complaints")
    for wrong in ("x" * 201, "two\nlines", "bell\a"):
        with pytest.raises(RegistryError, match="one line of at most 200 characters"):
            registry.release(actor="ann", reason=wrong)
    release = registry.release(actor="ann", reason="mended")
    assert registry.release(actor="ann", reason="mended") == release
    with pytest.raises(RegistryError, match="nothing is on hold"):
        registry.release(actor="bob", reason="mended")


# The way out when the champion cannot be scored.


@pytest.fixture
def real_model() -> bytes:
    """A small model as skops saves it."""
    import skops.io
    from sklearn.dummy import DummyClassifier

    return skops.io.dumps(DummyClassifier(strategy="prior").fit([[0], [1]], [0, 1]))


def test_promote_unjudged(store: Store, real_model: bytes) -> None:
    """A person may let a version serve that verifies and loads; history begins anew there."""
    promote_days(store, 1, 2)
    plant_version(store, 3, model_bytes=real_model)
    registry = Registry(store, MODEL)
    entry = registry.promote_unjudged(version_name(3), actor="ann", reason="champion is lost")
    assert (entry.kind, entry.version, entry.value) == (
        PromotionKind.UNJUDGED,
        version_name(3),
        None,
    )
    assert registry.best_of_last("accuracy") is None
    promote_days(store, 4)
    assert registry.best_of_last("accuracy").version == version_name(4)  # type: ignore[union-attr]
    check_invariants(store, MODEL)


def test_unjudged_promotions_that_are_refused(folder: Store, real_model: bytes) -> None:
    """It needs a reason, something that serves, another version, and one that loads."""
    registry = Registry(folder, MODEL)
    with pytest.raises(RegistryError, match="nothing serves"):
        registry.promote_unjudged(version_name(1), actor="ann", reason="x")
    promote_days(folder, 1)
    with pytest.raises(RegistryError, match="reason"):
        registry.promote_unjudged(version_name(1), actor="ann", reason="")
    with pytest.raises(RegistryError, match="serves already"):
        registry.promote_unjudged(version_name(1), actor="ann", reason="x")
    with pytest.raises(NotFound):
        registry.promote_unjudged(version_name(3), actor="ann", reason="x")
    with pytest.raises(NotFound, match="not the name of a version"):
        registry.promote_unjudged("../../x", actor="ann", reason="x")
    plant_version(folder, 2)
    with pytest.raises(ArtifactError, match="not a readable skops file"):
        registry.promote_unjudged(version_name(2), actor="ann", reason="x")
    assert len(registry.history()) == 1


# The best of the last ten.


def test_best_of_last(folder: Store) -> None:
    """The best is the highest score of the last champions, by the same metric."""
    for day, score in ((1, 0.99), (2, 0.90), (3, 0.86), (4, 0.88)):
        rivals = (
            {"champion": None}
            if day == 1
            else {
                "champion.comparison.difference": score - 0.84,
                "champion.comparison.upper": 1.0,
            }
        )
        run = plant_run(folder, day, report={"challenger.metrics.accuracy": score, **rivals})
        promote(folder, run)
    registry = Registry(folder, MODEL)
    found = {n: registry.best_of_last("accuracy", n) for n in (1, 2, 3, 4, 10)}
    days = {n: entry and entry.generation for n, entry in found.items()}
    assert days == {1: 4, 2: 4, 3: 2, 4: 1, 10: 1}
    assert registry.best_of_last("roc_auc") is None
    registry.rollback(version_name(3), actor="ann", reason="4 is worse than it looks")
    assert registry.best_of_last("accuracy", 2).generation == 2  # type: ignore[union-attr]


# A log that is damaged.


class LyingStore(Store):
    """A store that does not keep what it was given."""

    def read(self, key: str) -> bytes:
        """Return something else for every entry of the log."""
        return b"{}" if "/promotions/" in key else super().read(key)


def test_an_entry_that_was_not_kept(folder: Store) -> None:
    """A promotion counts once it was read back as it was written."""
    run = plant_run(folder, 1)
    verdict = check_quality(folder, run)
    with pytest.raises(RegistryError, match="cannot be read back"):
        promote(LyingStore(folder.uri), run, verdict=verdict)


def test_an_entry_that_is_gone(folder: Store) -> None:
    """An entry that must be there and is not is an error, not an earlier entry."""
    promote_days(folder, 1)
    with pytest.raises(RegistryError, match=r"00000002.json is missing"):
        Registry(folder, MODEL).entry(2)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda entry: b"", "not readable"),
        (lambda entry: b"{", "not readable"),
        (lambda entry: entry[: len(entry) // 2], "not readable"),
        (lambda entry: entry + b"{}", "not readable"),
        (lambda entry: entry.replace(b'"format": 1', b'"format": NaN'), "not readable"),
        (lambda entry: entry.replace(b'"format": 1', b'"format": 1, "format": 1'), "not readable"),
        (lambda entry: entry.replace(b"toy_model", b"top_model"), "is of top_model"),
        (lambda entry: entry.replace(b'"generation": 3', b'"generation": 2'), "generation 2"),
        (lambda entry: entry.replace(b'"previous_sha256": "', b'"previous_sha256": "0'), "altered"),
    ],
)
def test_an_unreadable_newest_entry_is_an_error(
    folder: Store, damage: Callable[[bytes], bytes], text: str
) -> None:
    """Whatever ails the newest entry, the one before it is never used instead."""
    promote_days(folder, 1, 2, 3)
    key = layout.promotion_key(MODEL, 3)
    folder.write(key, damage(folder.read(key)))
    registry = Registry(folder, MODEL)
    for read in (registry.champion, registry.serving, registry.history):
        with pytest.raises(RegistryError, match=text):
            read()
    assert registry.verify().problems != ()


def test_an_altered_entry_is_noticed(folder: Store) -> None:
    """Any change to an entry breaks the chain at the one after it."""
    promote_days(folder, 1, 2, 3)
    key = layout.promotion_key(MODEL, 1)
    folder.write(key, folder.read(key).replace(b"it is better", b"it was paid"))
    registry = Registry(folder, MODEL)
    with pytest.raises(RegistryError, match=r"00000002\.json: does not follow"):
        registry.history()
    assert "00000002.json" in registry.verify().problems[0]


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_entry_is_an_error(store: Store, missing: int) -> None:
    """A gap in the numbering is an error that names it."""
    promote_days(store, 1, 2, 3)
    store.delete(layout.promotion_key(MODEL, missing))
    with pytest.raises(RegistryError, match=f"{missing:08d}.json: the log's numbering is broken"):
        Registry(store, MODEL).champion()


def test_entries_that_vanished_are_noticed(folder: Store) -> None:
    """A challenger that was judged against a generation that the log no longer has is refused."""
    promote_days(folder, 1, 2)
    run = plant_run(folder, 3)
    folder.delete(layout.promotion_key(MODEL, 2))
    with pytest.raises(RegistryError, match="entries are missing"):
        promote(folder, run)


@pytest.mark.fault("G18")
def test_verify_names_strangers_and_damaged_versions(folder: Store) -> None:
    """A check reports foreign files in the log and each version that is no longer what served."""
    promote_days(folder, 1, 2)
    folder.write(f"models/{MODEL}/promotions/notes.txt", b"hello")
    folder.write(f"{layout.version_folder(MODEL, version_name(1))}/0-1/model.skops", b"model X")
    check = Registry(folder, MODEL).verify()
    assert (check.entries, check.versions) == (2, 2)
    assert check.champion is not None
    assert len(check.problems) == 2
    assert version_name(1) in check.problems[0]
    assert "notes.txt is not an entry" in check.problems[1]


@pytest.mark.fault("G06")
def test_a_rewritten_old_entry_does_not_let_a_stale_writer_win(folder: Store) -> None:
    """Going from A to B and back to A is two more entries, so who saw A first has lost (G06)."""
    promote_days(folder, 1)
    stale = plant_run(folder, 9)
    promote_days(folder, 2)
    Registry(folder, MODEL).rollback(version_name(1), actor="ann", reason="back")
    with pytest.raises(Superseded):
        promote(folder, stale)


# Races.


def _race(store: Store, entries: list[Callable[[], PromotionEntry]]) -> list[PromotionEntry]:
    """Start all at once and return who won."""
    barrier = threading.Barrier(len(entries))

    def enter(act: Callable[[], PromotionEntry]) -> PromotionEntry | None:
        barrier.wait()
        try:
            return act()
        except Superseded:
            return None

    with ThreadPoolExecutor(len(entries)) as pool:
        return [entry for entry in pool.map(enter, entries) if entry is not None]


@pytest.mark.fault("G01")
def test_of_eight_promoters_one_wins_each_round(store: Store) -> None:
    """In each of 60 rounds one of eight threads gets the generation, and the rest lose (G01)."""
    runs = [plant_run(store, day, date=date(2026, 1, 1)) for day in range(1, 9)]
    evidence = []
    for run in runs:
        data = store.read(run.paths.evaluation)
        report = EvaluationReport.from_bytes(data, where="x")
        evidence.append((read_manifest(store, run.paths), report, check_quality(store, run)))
    logs = [Registry(store, MODEL) for _ in runs]
    entry = promote(store, runs[0])
    for generation in range(2, 62):
        contenders = [
            (lambda log=log, day=day: _appended(log, entry, generation, day))  # noqa: B023
            for day, log in enumerate(logs)
        ]
        winners = _race(store, contenders)
        assert len(winners) == 1
    history = Registry(store, MODEL).history()
    assert [item.generation for item in history] == list(range(1, 62))


def _appended(log: Registry, entry: PromotionEntry, generation: int, day: int) -> PromotionEntry:
    changes = {"generation": generation, "nonce": f"{generation}-{day}"}
    won = log.append(entry.model_copy(update=changes))
    if won is None:
        raise Superseded
    return won


@pytest.mark.fault("G11")
def test_a_rollback_races_with_a_promotion(store: Store) -> None:
    """Of a rollback and a promotion at the same moment one wins, and the other is told (G11)."""
    promote_days(store, 1, 2)
    registry = Registry(store, MODEL)
    run = plant_run(store, 3)
    check_quality(store, run)
    winners = _race(
        store,
        [
            lambda: promote(store, run),
            lambda: registry.rollback(version_name(1), actor="ann", reason="back"),
        ],
    )
    assert [entry.generation for entry in winners] in ([3], [3, 4], [4, 3])
    if any(entry.kind is PromotionKind.PROMOTION for entry in winners):
        close_run(store, run, Outcome.PROMOTED, "x")
    check_invariants(store, MODEL)


def test_answers_are_values(folder: Store) -> None:
    """A verdict that was altered to pass has another digest than the stored one."""
    run = plant_run(folder, 1, report={"challenger.metrics.accuracy": 0.5})
    verdict = check_quality(folder, run)
    forged = verdict.model_copy(update={"answer": Answer.PASS})
    assert forged.content_digest != verdict.content_digest
    stored = folder.read(run.paths.verdict(0))
    assert stored == verdict.to_bytes() != forged.to_bytes()


def test_a_damaged_manifest_is_an_error(folder: Store) -> None:
    """A version's manifest that cannot be parsed promotes nothing."""
    run = plant_run(folder, 1)
    verdict = check_quality(folder, run)
    folder.write(layout.version_manifest_key(MODEL, version_name(1)), b"{}")
    with pytest.raises(EvidenceError):
        promote(folder, run, verdict=verdict)
