"""The evidence for the decision on a challenger: read, verified and judged again."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import ValidationError

from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import EvidenceError
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.rules import Verdict, judge
from include.retraining.runs.manifest import RunManifest, current_plan, read_manifest
from include.retraining.runs.reference import RunRef
from include.retraining.runs.results import read_result
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


class Evidence(NamedTuple):
    """A run's evidence, read and verified, and judged again."""

    paths: RunPaths
    manifest: RunManifest
    report: EvaluationReport
    verdict: Verdict


def judged_evidence(store: Store, run: RunRef) -> Evidence:
    """Return a run's evidence, judged again, where the stored verdict follows from it.

    Raises:
        EvidenceError: when a step left no result, another run's, or an altered one, or when the
            run was not judged.
        StorageError: when the store refuses or does not answer.
    """
    evidence = judge_evidence(store, run)
    require_same_verdict(evidence, run, store)
    return evidence


def judge_evidence(store: Store, run: RunRef) -> Evidence:
    """Read what every step left, check that it belongs together, and judge it."""
    paths = current_plan(store, run.paths)
    manifest = read_manifest(store, paths)
    if manifest.run_id != run.run_id:
        raise EvidenceError(f"{paths.manifest}: is of run {manifest.run_id}, not of {run.run_id}")
    for step in ("validate", "train"):
        read_result(store, paths, manifest, step)
    evaluated = read_result(store, paths, manifest, "evaluate")
    report = EvaluationReport.from_bytes(
        store.read(evaluated.report.key), where=evaluated.report.key
    )
    reported = (report.model, report.run_id, report.fingerprint, report.challenger.version)
    if reported != (run.model, manifest.run_id, manifest.fingerprint, manifest.version):
        raise EvidenceError(f"{evaluated.report.key}: is of another run or version than its result")
    try:
        policy = ModelConfig.model_validate(manifest.config).gates
    except ValidationError as error:
        raise EvidenceError(f"{paths.manifest}: its configuration is not readable") from error
    if policy.digest != manifest.policy_digest:
        raise EvidenceError(f"{paths.manifest}: its rules are not those that it was planned with")
    verdict = judge(report, policy, report_digest=evaluated.report.sha256)
    return Evidence(paths, manifest, report, verdict)


def require_same_verdict(evidence: Evidence, run: RunRef, store: Store) -> None:
    """Refuse a stored verdict that does not follow from the evidence."""
    key, own = newest_verdict_key(store, evidence.paths, run), evidence.paths.verdict(run.clear)
    if key is None:
        raise EvidenceError(f"{store.uri}/{own}: the run was not judged; clear check_quality")
    if Verdict.from_bytes(store.read(key), where=key) != evidence.verdict:
        raise EvidenceError(f"{store.uri}/{key}: the verdict does not follow from the evaluation")
    store.create(own, evidence.verdict.to_bytes())


def newest_verdict_key(store: Store, paths: RunPaths, run: RunRef) -> str | None:
    """Return the key of the verdict that holds for a run, or None where it was not judged.

    A clear that does not reach back to the judgement keeps the existing one.
    """
    keys = (paths.verdict(clear) for clear in range(run.clear, -1, -1))
    return next((key for key in keys if store.exists(key)), None)
