"""Planning a run: pin the data and the code, name the version, and see whether anything is new.

A plan is written once and never edited. A run that is retried or cleared while everything that
matters is as it was adopts the plan it has, and with it the steps already done; when the data, the
code, the rules or the champion changed meanwhile, the run gets a new plan in a folder of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from include.retraining.config.model import ModelConfig, load_model
from include.retraining.config.step_compute import ImageCompute
from include.retraining.data.delivery import pin_delivery
from include.retraining.data.forget_list import pin_forget_list
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.records import decisions
from include.retraining.exceptions import CodeChanged, ConfigError, MissingObject, NotFound
from include.retraining.fingerprint.digests import check_same_code, current_code
from include.retraining.fingerprint.fingerprint import fingerprint_of, version_of
from include.retraining.fingerprint.pinned import Code, Delivery, ForgetList
from include.retraining.fingerprint.wiring import check_same_wiring, wiring_digest
from include.retraining.registry.promotion_log import CLOCK_TOLERANCE, PromotionLog
from include.retraining.registry.promotion_rules import newer_data_serves, promoted_too_recently
from include.retraining.runs.manifest import (
    Params,
    RunManifest,
    TriggeredBy,
    current_plan,
    find_manifest,
    read_manifest,
)
from include.retraining.store.layout import RunPaths, run_key, version_manifest_key
from include.retraining.store.object_store import Store

# How a version is promoted: by the gate, or by a user where the champion cannot be scored.
SERVED_BY = frozenset({Outcome.PROMOTED, Outcome.NO_CHANGE, Outcome.CANNOT_JUDGE})
# Answers to one plan that hold for an equal one.
ANSWERS = frozenset({
    Outcome.PROMOTED,
    Outcome.REJECTED,
    Outcome.NO_CHANGE,
    Outcome.APPROVAL_REJECTED,
})
RECENT_RECORDS = 10
"""As many are read for what the steps used last, and for digests that need not be made again."""
# What the heavy steps, the gate and the promotion read of a configuration. Who is alerted, when a
# run starts and where a job runs may change under a plan.
DECIDING_SECTIONS = ("problem", "data", "training", "gates", "approval")


def plan_run(
    store: Store,
    config: ModelConfig,
    *,
    dag_id: str,
    run_id: str,
    run_after: datetime,
    params: Params,
    cause: TriggeredBy,
    git_sha: str | None = None,
    image: str | None = None,
) -> RunManifest:
    """Pin a run's delivery, code and configuration, and write that down as its plan.

    Returns:
        The run's newest plan: the one it has when nothing that matters changed, else a new one.

    Raises:
        DeliveryError: when the delivery is not complete or cannot be accepted.
        ConfigError: when the model has no Python file.
        RegistryError: when the promotion log cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    delivery = pin_delivery(store, config, params.date)
    recent = list(decisions(store, config.name, limit=RECENT_RECORDS))
    code = _code(config, recent, git_sha=git_sha, image=image)
    forget = pin_forget_list(store, config.name)
    fingerprint = _fingerprint(config, delivery, code, forget, params, run_id=run_id)
    planned = RunManifest(
        model=config.name,
        dag_id=dag_id,
        run_id=run_id,
        run=run_key(run_id, run_after),
        run_after=run_after,
        created_at=datetime.now(UTC),
        params=params,
        cause=cause,
        delivery=delivery,
        code=code,
        config=config.model_dump(mode="json"),
        config_digest=config.digest,
        policy_digest=config.gates.digest,
        compute=config.compute.resolved(delivery.total_bytes),
        last_peak_memory_bytes=last_peaks(recent),
        seed=config.training.seed,
        fingerprint=fingerprint,
        version=version_of(fingerprint),
        champion=PromotionLog(store, config.name).serving(),
        forget=forget,
    )
    return _written(store, planned)


def _fingerprint(
    config: ModelConfig,
    delivery: Delivery,
    code: Code,
    forget: ForgetList | None,
    params: Params,
    *,
    run_id: str,
) -> str:
    return fingerprint_of(
        delivery=delivery,
        code=code,
        training_view=config.training_view,
        seed=config.training.seed,
        only_run=run_id if params.force_retrain else None,
        forget=forget,
    )


def unchanged(store: Store, manifest: RunManifest) -> DecisionRecord | None:
    """Return the earlier decision that answers this plan already, or None when it must be judged.

    A version that serves already needs no further judgement. Any other is answered by a yes or a no
    to the same fingerprint, under the same rules, against the same champion. Never an answer: a
    decision of the very run (a user cleared it to have it decided again), a CANNOT JUDGE, and
    refused data, which are checked again because their date and their history moved on.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    # What was judged was trained: without the version, no record can be an answer.
    trained_at = _trained_at(store, manifest)
    if trained_at is None:
        return None
    serves = manifest.champion is not None and manifest.champion.version == manifest.version
    for record in decisions(store, manifest.model, written_since=trained_at):
        if record.fingerprint != manifest.fingerprint:
            continue
        if serves and record.outcome in SERVED_BY:
            return record
        if _answers(record, manifest):
            return record
    return None


def answer_of(earlier: DecisionRecord, manifest: RunManifest) -> str:
    """Return in a sentence why an earlier decision answers a plan (`unchanged`)."""
    if manifest.champion is not None and manifest.champion.version == manifest.version:
        return (
            f"version {manifest.version}, of the same data and the same training code, is the "
            f"champion already, since the decision of run {earlier.run_id}: {earlier.reason}"
        )
    return (
        "data, training code, judging code, rules and champion are those that run "
        f"{earlier.run_id} decided on: {earlier.reason}"
    )


def why_judged_again(store: Store, manifest: RunManifest) -> str | None:
    """Return why a version that was trained and decided on before is judged again.

    None when it was never trained, or never decided on.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    trained_at = _trained_at(store, manifest)
    if trained_at is None:
        return None
    since = decisions(store, manifest.model, written_since=trained_at)
    same = (record for record in since if record.fingerprint == manifest.fingerprint)
    earlier = next(same, None)
    if earlier is None:
        return None
    changes = {
        "the code that judges changed": _judged_by(earlier.code) != _judged_by(manifest.code),
        "the rules changed": earlier.policy_digest != manifest.policy_digest,
        "the champion changed": earlier.serving != manifest.champion,
    }
    changed = [words for words, is_so in changes.items() if is_so]
    return (
        f"version {manifest.version} was trained before, and is judged again: run "
        f"{earlier.run_id} ended {earlier.outcome.value.replace('_', ' ')}"
        + "".join(f"; {words} since" for words in changed)
    )


def _trained_at(store: Store, manifest: RunManifest) -> datetime | None:
    """Return since when records may tell of a plan's version; None when it was never trained.

    By the store's own clock, and a day before: a store that was copied has other times.
    """
    key = version_manifest_key(manifest.model, manifest.version)
    try:
        return store.head(key).last_modified - CLOCK_TOLERANCE
    except MissingObject:
        return None


def why_pointless(store: Store, manifest: RunManifest) -> tuple[Outcome, str] | None:
    """Return how a run ends that could train nothing that may serve, and why; None when it could.

    What is known before the training is not found out after it: a backfill's run for a day before
    the champion's data trains nothing, nor does one too soon after the last promotion. A dry run
    may look all the same.

    Raises:
        RegistryError: when the promotion log cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    log = PromotionLog(store, manifest.model)
    champion = log.champion()
    if champion is None or manifest.params.dry_run:
        return None
    newer = newer_data_serves(manifest, champion)
    if newer is not None:
        return Outcome.SUPERSEDED, newer
    early = promoted_too_recently(manifest, log, champion, datetime.now(UTC))
    return None if early is None else (Outcome.TOO_SOON, early)


def changed_since(manifest: RunManifest) -> str | None:
    """Return what changed in this tree since a run was planned, or None when nothing did.

    Compares the code with its wiring (`wiring.FOLDERS`), the lock, and what the decision
    reads of the model's YAML.
    """
    try:
        check_same_code(manifest.code, manifest.model, trains=False)
        check_same_wiring(manifest.code)
        config = load_model(manifest.model).model_dump(mode="json")
    except (CodeChanged, ConfigError, NotFound) as error:
        return str(error)
    for name in DECIDING_SECTIONS:
        if config[name] != manifest.config.get(name, config[name]):
            where = f"include/models/{manifest.model}.yaml"
            return f"`{name}` in {where} changed since the run was planned"
    return None


def last_peaks(records: Iterable[DecisionRecord]) -> dict[str, int]:
    """Return, by step, the peak memory in bytes of the newest run that got so far.

    Args:
        records: of a model, the newest first.
    """
    peaks: dict[str, int] = {}
    for record in records:
        for step, used in record.compute.items():
            if used.peak_memory_bytes is not None:
                peaks.setdefault(step, used.peak_memory_bytes)
    return peaks


def _code(
    config: ModelConfig,
    recent: Iterable[DecisionRecord],
    *,
    git_sha: str | None,
    image: str | None,
) -> Code:
    """Return the code of a run: ours, with the Python and the image that will train.

    Digests of code that a recent run had as well are not made again.
    """
    known = next((record.code for record in recent if record.code is not None), None)
    code = current_code(
        config.name,
        extras=config.training.extras,
        scorers=config.gates.scorer_modules,
        known=known,
        git_sha=git_sha,
        image=image,
    )
    code = code.model_copy(update={"wiring_digest": wiring_digest()})
    trains_in = config.compute.train_model
    if isinstance(trains_in, ImageCompute):
        code = code.model_copy(update={"python": trains_in.python, "image": trains_in.image})
    return code


def _answers(record: DecisionRecord, manifest: RunManifest) -> bool:
    return (
        record.outcome in ANSWERS
        and record.run_id != manifest.run_id
        and record.policy_digest == manifest.policy_digest
        and _judged_by(record.code) == _judged_by(manifest.code)
        and record.serving == manifest.champion
    )


def _judged_by(code: Code | None) -> str | None:
    return None if code is None else code.judging_digest


def _written(store: Store, planned: RunManifest) -> RunManifest:
    """Adopt the run's newest plan if it says the same, else write a new one."""
    paths = current_plan(store, RunPaths(planned.model, planned.run))
    while True:
        manifest = planned.model_copy(update={"run": paths.run})
        existing = find_manifest(store, paths)
        if existing is None:
            if store.create(paths.manifest, manifest.to_bytes()):
                return read_manifest(store, paths)  # the way it was stored is the way it is used
            continue  # another attempt planned at the same moment: look at its plan
        if _essence(existing) == _essence(manifest):
            return existing
        paths = paths.next_plan()


def _essence(manifest: RunManifest) -> dict[str, Any]:
    """Return what a plan's steps and its decision depend on."""
    return {
        "fingerprint": manifest.fingerprint,
        "location": manifest.delivery.location,
        "params": manifest.params,
        "code": manifest.code.model_dump(exclude={"git_sha", "image"}),
        "champion": manifest.champion,
        **{name: manifest.config.get(name) for name in DECIDING_SECTIONS},
    }
