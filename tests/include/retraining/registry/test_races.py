"""Races for the next entry of the promotion log: one wins, the others are told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import pytest

from include.retraining.decisions.record import Outcome
from include.retraining.exceptions import Superseded
from include.retraining.gate.report import EvaluationReport
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.manifest import read_manifest
from include.retraining.steps.close_run import close_run
from include.retraining.steps.decide import check_quality
from include.retraining.store.object_store import Store
from tests.support.invariants import check_invariants
from tests.support.promotions import promote, promote_days
from tests.support.run_factory import MODEL, plant_run, version_name


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
    registries = [Registry(store, MODEL) for _ in runs]
    entry = promote(store, runs[0])
    for generation in range(2, 62):
        contenders = [
            (lambda registry=registry, day=day: _appended(registry, entry, generation, day))  # noqa: B023
            for day, registry in enumerate(registries)
        ]
        winners = _race(store, contenders)
        assert len(winners) == 1
    history = PromotionLog(store, MODEL).history()
    assert [item.generation for item in history] == list(range(1, 62))


def _appended(
    registry: Registry, entry: PromotionEntry, generation: int, day: int
) -> PromotionEntry:
    changes = {"generation": generation, "nonce": f"{generation}-{day}"}
    won = registry.append(entry.model_copy(update=changes))
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
