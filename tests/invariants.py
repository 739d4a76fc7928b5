"""What must hold in a store after any fault and after recovery: V1 to V4, V6 and V10."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from include.retraining.documents import sha256_of
from include.retraining.layout import decisions_folder, version_manifest_key
from include.retraining.promotions import PromotionKind
from include.retraining.records import Outcome, RunRef, decisions, find_decision
from include.retraining.registry import Registry
from include.retraining.storage import Store
from include.retraining.versions import read_version, verify_version


def check_invariants(store: Store, model: str, *, ended: Iterable[RunRef] = ()) -> None:
    """Assert that a model's log, versions and records are sound and agree.

    Args:
        store: the store, after recovery.
        model: the model's name.
        ended: runs that are over, so that each must have exactly one terminal record.
    """
    registry = Registry(store, model)
    history = registry.history()  # V10: every entry holds the digest of the one before it
    assert [entry.generation for entry in history] == list(range(1, len(history) + 1))  # V2
    assert len({entry.nonce for entry in history}) == len(history)
    champion = registry.champion()  # V1
    assert champion == (history[-1] if history else None)
    assert registry.verify().problems == ()
    _check_versions(store, model)  # V4
    records = list(decisions(store, model))
    _check_records(store, model, ended)  # V6
    promotions = [
        (record.serving.generation, record)
        for record in records
        if record.outcome is Outcome.PROMOTED and record.serving
    ]
    made_by_runs = [entry for entry in history if entry.kind is PromotionKind.PROMOTION]
    recorded = sorted(generation for generation, _ in promotions)
    assert recorded == [entry.generation for entry in made_by_runs]  # V2: one record each
    promoted = dict(promotions)
    for entry in made_by_runs:  # V3
        record = promoted[entry.generation]
        assert record.run_id == entry.run_id
        assert record.verdict is not None
        assert record.verdict.passed
        assert record.verdict.content_digest == entry.verdict_digest
        assert record.verdict.judged_against == entry.generation - 1
        assert record.report is not None
        assert record.report.challenger.version == entry.version
        assert sha256_of(store.read(version_manifest_key(model, entry.version))) == (
            entry.version_digest
        )


def _check_versions(store: Store, model: str) -> None:
    for version in store.children(f"models/{model}/versions")[0]:
        if store.exists(version_manifest_key(model, version)):
            verify_version(store, read_version(store, model, version))


def _check_records(store: Store, model: str, ended: Iterable[RunRef]) -> None:
    names = [info.key for info in store.children(decisions_folder(model))[1]]
    kinds = Counter(
        re.sub(r"(\.corrected)?\.json$", "", name)
        for name in names
        if not name.endswith(".corrected.json")
    )
    assert set(kinds.values()) <= {1}
    for name in names:
        if name.endswith(".corrected.json"):
            assert name.replace(".corrected", "") in names
    for run in ended:
        assert find_decision(store, run) is not None, f"{run.run_id} has no terminal record"
