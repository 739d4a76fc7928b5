"""What must hold before a version serves: its files, its run's evidence, the age of its data."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from include.retraining.config.model import GatePolicy
from include.retraining.documents import sha256_of
from include.retraining.exceptions import NotFound, RegistryError
from include.retraining.formatting.times import utc_minute
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.verdict import Verdict
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.registry.versions import VersionManifest, read_version, verify_version
from include.retraining.runs.manifest import RunManifest
from include.retraining.store.layout import version_manifest_key
from include.retraining.store.object_store import Store

_VERSION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}")


def newer_data_serves(manifest: RunManifest, champion: PromotionEntry) -> str | None:
    """Return why a run's data may not replace the champion's, None when they may.

    Data older than the champion's are promoted only when a user forces that with a reason.
    """
    date = manifest.params.date.isoformat()
    if date >= champion.data_date or _is_forced(manifest):
        return None
    return (
        f"the data is of {date}, and version {champion.version} with data of {champion.data_date} "
        "serves already; force_retrain with a reason overrides this"
    )


def promoted_too_recently(
    manifest: RunManifest, log: PromotionLog, champion: PromotionEntry, now: datetime
) -> str | None:
    """Return why it is too soon for the next promotion, None when it is not.

    Args:
        manifest: of the run; `gates.min_days_between_promotions` of its configuration holds.
        log: read only where there is such a rule.
        champion: its newest entry.
        now: aware.
    """
    days = GatePolicy.model_validate(manifest.config["gates"]).min_days_between_promotions
    if days is None or _is_forced(manifest):
        return None
    promotion = log.last_promotion(champion)
    earliest = promotion.created_at + timedelta(days=days)
    if now >= earliest:
        return None
    return (
        f"version {promotion.version} was promoted at {utc_minute(promotion.created_at)}, and "
        f"gates.min_days_between_promotions is {days:g}: the next promotion is at "
        f"{utc_minute(earliest)} or later; force_retrain with a reason overrides this"
    )


def _is_forced(manifest: RunManifest) -> bool:
    """Return whether a user took the promotion upon themselves, with a reason."""
    return manifest.params.force_retrain and bool(manifest.params.reason)


def require_evidence(manifest: RunManifest, verdict: Verdict, report: EvaluationReport) -> None:
    """Refuse a verdict that did not pass, or that is not about this run's challenger."""
    if not verdict.passed:
        raise RegistryError(f"the gate did not pass this challenger: {verdict.headline}")
    run = (manifest.run_id, manifest.fingerprint)
    generation = report.champion.serving.generation if report.champion else 0
    for what, actual, expected in (
        ("the verdict is of another run", (verdict.run_id, verdict.fingerprint), run),
        ("the evaluation is of another run", (report.run_id, report.fingerprint), run),
        ("the evaluation is of another model", report.model, manifest.model),
        ("the evaluation is of another version", report.challenger.version, manifest.version),
        ("the verdict is of another evaluation", verdict.report_digest, report.content_digest),
        ("the verdict is by other rules", verdict.policy_digest, manifest.policy_digest),
        ("the verdict is against another champion", verdict.judged_against, generation),
    ):
        if actual != expected:
            raise RegistryError(f"run {manifest.run_id}: nothing was promoted, because {what}")


def checked_version(
    store: Store, model: str, version: str, digest: str | None = None
) -> tuple[VersionManifest, str]:
    """Return a version's manifest and its digest after checking every file of it.

    Raises:
        NotFound: for what is no version's name, or the name of none.
        ArtifactError: when a file is missing, altered or not named.
    """
    if not _VERSION_NAME.fullmatch(version):
        raise NotFound(f"{model}: {version!r} is not the name of a version")
    manifest = read_version(store, model, version, digest=digest)
    manifest_digest = sha256_of(store.read(version_manifest_key(model, version)))
    verify_version(store, manifest)
    return manifest, manifest_digest
