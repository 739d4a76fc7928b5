"""The registry: what a run may promote, and what it may not."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from include.retraining.exceptions import (
    ArtifactError,
    EvidenceError,
    NotFound,
    RegistryError,
    Superseded,
)
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.verdict import Answer
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.manifest import read_manifest
from include.retraining.steps.decide import check_quality
from include.retraining.store import layout
from include.retraining.store.object_store import Store
from tests.support.invariants import check_invariants
from tests.support.promotions import promote, promote_days
from tests.support.run_factory import MODEL, plant_run, plant_version, run_ref, version_name


def test_nothing_serves_at_first(store: Store) -> None:
    """In an initialised store a model without a log has no champion."""
    registry = Registry(store, MODEL)
    assert registry.log.champion() is None
    assert registry.log.serving() is None
    assert registry.log.history() == []
    assert registry.log.best_of_last("accuracy") is None


def test_promotions_make_a_chain(store: Store) -> None:
    """Each promotion is one more entry behind the one that it was judged against."""
    promote_days(store, 1, 2, 3)
    registry = Registry(store, MODEL)
    champion = registry.log.champion()
    assert champion is not None
    assert (champion.generation, champion.version) == (3, version_name(3))
    assert (champion.metric, champion.value, champion.data_date) == ("accuracy", 0.86, "2026-01-04")
    assert [entry.version for entry in registry.log.history()] == [
        version_name(n) for n in (1, 2, 3)
    ]
    check_invariants(store, MODEL, ended=[run_ref(1), run_ref(2), run_ref(3)])


@pytest.mark.fault("F17")
def test_promoting_again_returns_the_same_entry(store: Store) -> None:
    """A task that is tried again gets the entry that its run has (F17, G03)."""
    run = plant_run(store, 1)
    first = promote(store, run)
    assert promote(store, run) == first
    promote_days(store, 2)
    assert promote(store, run) == first
    assert len(PromotionLog(store, MODEL).history()) == 2


@pytest.mark.fault("F18")
def test_who_is_slower_is_superseded(store: Store) -> None:
    """A challenger that was judged against an earlier champion is not promoted."""
    slow = plant_run(store, 2)
    promote_days(store, 1)
    with pytest.raises(Superseded, match=f"version {version_name(1)} became generation 1"):
        promote(store, slow)
    assert PromotionLog(store, MODEL).serving().generation == 1  # type: ignore[union-attr]


def test_what_was_not_passed_is_not_promoted(folder: Store) -> None:
    """A verdict that is a no promotes nothing, whoever asks."""
    run = plant_run(folder, 1, report={"challenger.metrics.accuracy": 0.5})
    with pytest.raises(RegistryError, match="did not pass"):
        promote(folder, run)
    assert PromotionLog(folder, MODEL).champion() is None


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
    assert PromotionLog(folder, MODEL).champion() is None


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
    assert PromotionLog(store, MODEL).champion() is None


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
        registry._require_newer(manifest, plant_version(store, 2), registry.log.entry(3))
    registry.rollback(version_name(2), actor="ann", reason="it was the data")
    assert registry._rollback_of(plant_version(store, 2)) is None


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
