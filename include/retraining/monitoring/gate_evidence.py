"""What the gate had measured of a champion, and on which rows: its promise."""

from __future__ import annotations

import hashlib
import io
import re
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.retraining.exceptions import EvidenceError, NotFound
from include.retraining.monitoring.grade import Interval, Promise
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.manifest import find_manifest
from include.retraining.runs.results import EvaluateResult, find_result
from include.retraining.store.layout import RunPaths, model_folder
from include.retraining.store.object_store import Store


class GateEvidence(NamedTuple):
    """What is known of the judgement by which a version was promoted."""

    promise: Promise | None
    """None for a version that was promoted unjudged, or before its error was kept."""
    judged_keys: pa.StringArray
    """The keys of the rows that it was judged on, as texts."""


def gate_evidence(store: Store, champion: PromotionEntry) -> GateEvidence:
    """Return what the gate had measured of a champion.

    Args:
        store: with the promotion log and the runs.
        champion: its entry, also one of a rollback to it or of a release.

    Raises:
        NotFound: when no run promoted it, or that run's evaluation is not in the store.
        EvidenceError: when the evaluation was altered.
        RegistryError: when the promotion log cannot be read.
    """
    entry = _promoted_by_run(store, champion)
    evaluated = _evaluation(store, entry)
    table = pq.read_table(io.BytesIO(store.read(evaluated.predictions.key)), columns=["key"])
    keys = pc.cast(table["key"].combine_chunks(), pa.string())
    judged = entry.judged
    if judged is None:
        return GateEvidence(None, keys)
    score = Interval.around(judged.value, judged.standard_error, judged.rows)
    digest = evaluated.report.sha256
    return GateEvidence(
        Promise(score=score, baseline=judged.baseline, run_id=entry.run_id, report_digest=digest),
        keys,
    )


def evaluation_of(store: Store, champion: PromotionEntry) -> EvaluateResult:
    """Return the verified evaluation by which a champion was promoted.

    Raises:
        NotFound: when no run promoted it, or that run's evaluation is not in the store.
        EvidenceError: when the evaluation was altered.
        RegistryError: when the promotion log cannot be read.
    """
    return _evaluation(store, _promoted_by_run(store, champion))


def _promoted_by_run(store: Store, champion: PromotionEntry) -> PromotionEntry:
    for entry in PromotionLog(store, champion.model).newest_first():
        if entry.version == champion.version and entry.run_id is not None:
            return entry
    raise NotFound(f"{champion.model}: no run promoted version {champion.version}")


def _evaluation(store: Store, entry: PromotionEntry) -> EvaluateResult:
    """Return the verified result of the plan that scored the version; its last, where several."""
    run_id = entry.run_id or ""
    suffix = hashlib.sha256(run_id.encode()).hexdigest()[:8]
    folders = store.children(f"{model_folder(entry.model)}/runs")[0]
    plans = [name for name in folders if re.search(rf"-{suffix}(\.\d+)?$", name)]
    for name in sorted(plans, key=lambda plan: (len(plan), plan), reverse=True):
        paths = RunPaths(entry.model, name)
        manifest = find_manifest(store, paths)
        if manifest is None or (manifest.run_id, manifest.version) != (run_id, entry.version):
            continue
        result = find_result(store, paths, manifest, "evaluate")
        if isinstance(result, EvaluateResult):
            return result
    raise NotFound(
        f"{entry.model}: the evaluation of version {entry.version} in run {run_id} is not in the "
        "store, so that the rows it was judged on are unknown"
    )


def require_same_key(key: str | None, configured: str) -> None:
    """Refuse to compare rows by a key that is another one by now.

    Raises:
        EvidenceError: naming both columns.
    """
    if key is not None and key != configured:
        raise EvidenceError(
            f"its rows were divided by the key {key!r}, the key is {configured!r} now: which rows "
            "it was trained on cannot be seen"
        )
