"""What the tasks after the jobs do: judge, then promote or refuse, and write the record."""

from __future__ import annotations

from collections.abc import Collection

from include.retraining.approval.answer import Approval, find_approval, why_not_approved
from include.retraining.config.model import ModelConfig
from include.retraining.decisions.chain import require_newest_entry
from include.retraining.decisions.cleared import standing
from include.retraining.decisions.evidence import (
    Evidence,
    judge_evidence,
    judged_evidence,
    newest_verdict_key,
    require_same_verdict,
)
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.records import decisions, find_decision
from include.retraining.exceptions import EvidenceError, RegistryError, Superseded
from include.retraining.fingerprint.digests import check_same_judge, judging_digest
from include.retraining.gate.identity import NEEDS_CHAMPION
from include.retraining.gate.rules import Answer, Verdict
from include.retraining.gate.verdict import REFUSALS
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.manifest import current_plan
from include.retraining.runs.reference import RunRef
from include.retraining.steps.close_run import close_run
from include.retraining.store.object_store import Store


def check_quality(store: Store, run: RunRef, *, report_sha256: str | None = None) -> Verdict:
    """Judge a run's challenger and write the verdict down; a retry returns the same.

    Args:
        store: where the run left its evidence.
        run: the run.
        report_sha256: of the report that the caller means; None for the one that is there.

    Raises:
        EvidenceError: when a step left no result, another run's, or an altered one, or when the
            report is not the one that the caller means. Nothing is written then.
        CodeChanged: when other code judges here than the run was planned with.
        StorageError: when the store refuses or does not answer.
    """
    evidence = judge_evidence(store, run)
    check_same_judge(evidence.manifest.code)
    stored = evidence.verdict.report_digest
    if report_sha256 not in {None, stored}:
        raise EvidenceError(
            f"run {run.run_id}: the evaluation report in the store has the SHA-256 {stored}, the "
            f"one that was handed over has {report_sha256}: clear evaluate_model"
        )
    key = evidence.paths.verdict(run.clear)
    if not store.create(key, evidence.verdict.to_bytes()):
        require_same_verdict(evidence, run, store)
    return evidence.verdict


def deploy(store: Store, run: RunRef, *, actor: str, changed: str | None = None) -> DecisionRecord:
    """Promote a run's challenger, or say why not, and close the run.

    The evidence is read and judged once more: no value that a task or a user passed on decides.
    Safe to repeat. A run that was closed already is not promoted any more.

    Args:
        store: with the run's evidence.
        run: the run.
        actor: the DAG, or the user who triggered the run.
        changed: why this tree is not the one the run was planned in (`plan.changed_since`).
            Then nothing is promoted.

    Returns:
        The record: PROMOTED, SUPERSEDED, HELD, TOO_SOON, APPROVAL_REJECTED (approved without a
        note), DRY_RUN, or what the run was closed with before. Of a cleared run that no verdict
        lets promote, one that repeats what was decided.

    Raises:
        EvidenceError: when the verdict is missing, does not follow from the evidence, or is a no,
            or when its manual approval was never asked for.
        ArtifactError: when the version's files are not what its manifest says.
        RegistryError: when the promotion log is unreadable, or lacks an entry that was seen.
        StorageError: when the store refuses or does not answer.
    """
    closed = find_decision(store, run)
    if closed is not None:
        # Not `return closed`: closing once more puts the correction that the log may ask for.
        return close_run(store, run, closed.outcome, closed.reason)
    if run.clear > 0 and not _has_passed(store, run):
        repeated = _repeat_decision(store, run)
        if repeated is not None:
            return repeated
    evidence = judged_evidence(store, run)
    verdict = evidence.verdict
    if not verdict.passed:
        raise EvidenceError(
            f"run {run.run_id}: asked to promote what the gate did not pass: {verdict.headline}"
        )
    approval = None if evidence.manifest.params.dry_run else _approval(store, evidence, run)
    obstacle = _obstacle(evidence, approval, changed)
    if obstacle is not None:
        return close_run(store, run, *obstacle)
    require_newest_entry(store, run.model)
    asked_for = evidence.manifest.params.reason
    try:
        entry = Registry(store, run.model).promote(
            manifest=evidence.manifest,
            verdict=verdict,
            report=evidence.report,
            actor=(approval and approval.by) or actor,
            reason=(approval and approval.note) or asked_for or verdict.headline,
            clear=run.clear,
        )
    except Superseded as error:
        return close_run(store, run, Outcome(error.kind), str(error))
    if entry.clear != run.clear:
        reason = f"the run had promoted this version, as generation {entry.generation}, before"
        return close_run(store, run, Outcome.NO_CHANGE, f"{reason} it was cleared")
    return close_run(store, run, Outcome.PROMOTED, verdict.headline)


def _repeat_decision(store: Store, run: RunRef) -> DecisionRecord | None:
    """Close a cleared run as it was decided before; None when nothing was."""
    stands = standing(store, run, "the promotion was cleared, and the gate had not passed it")
    if stands is None:
        return None
    return close_run(
        store,
        run,
        stands.outcome,
        stands.reason,
        failed_task=stands.failed_task,
        failure=stands.failure,
    )


def is_promoted_by(store: Store, run: RunRef) -> bool:
    """Return whether the champion was promoted by this run, in any of its clears."""
    champion = PromotionLog(store, run.model).champion()
    return champion is not None and champion.run_id == run.run_id


def abort(store: Store, run: RunRef) -> DecisionRecord:
    """Close a run whose challenger the gate, or the person who must approve it, did not pass.

    Returns:
        The record: REJECTED, CANNOT_JUDGE, APPROVAL_REJECTED, APPROVAL_EXPIRED, DRY_RUN, or what
        the run was closed with before.

    Raises:
        EvidenceError: when the verdict is missing, does not follow from the evidence, or is a yes.
    """
    evidence = judged_evidence(store, run)
    verdict = evidence.verdict
    if verdict.passed:
        approval = _approval(store, evidence, run)
        problem = None
        if approval is not None:
            problem = why_not_approved(approval, verdict.content_digest)
        if approval is None or problem is None:
            raise EvidenceError(f"run {run.run_id}: asked to refuse what the gate passed")
        expired, refused = Outcome.APPROVAL_EXPIRED, Outcome.APPROVAL_REJECTED
        return close_run(store, run, expired if approval.is_expired else refused, problem)
    is_rejected = verdict.answer is Answer.FAIL
    outcome = Outcome.REJECTED if is_rejected else Outcome.CANNOT_JUDGE
    reason = verdict.headline
    if evidence.manifest.params.dry_run:
        outcome = Outcome.DRY_RUN
        answer = "it would have been rejected" if is_rejected else "it could not be judged"
        reason = f"dry run: {answer}: {verdict.headline}"
    return close_run(store, run, outcome, reason)


def promote_unjudged(
    store: Store, model: str, version: str, *, actor: str, reason: str, trusted: Collection[str]
) -> PromotionEntry:
    """Promote a version whose only obstacle was a champion that cannot be scored.

    Args:
        store: with the model's runs.
        model: its name.
        version: it must verify, load, and have passed every gate that needs no champion; judged
            against the current champion, no gate may have refused it.
        actor: the user.
        reason: why the comparison is overridden.
        trusted: what may be loaded or run (`Training.trusted`).

    Raises:
        RegistryError: when no run judged it, other code did, or a gate failed for another reason.
        ArtifactError: when it does not verify or load.
    """
    judged = (item for item in decisions(store, model) if item.version == version and item.verdict)
    record = next(judged, None)
    if record is None or record.verdict is None:
        raise RegistryError(f"{model}: no run judged version {version!r}; have one judge it first")
    if record.code is None or record.code.judging_digest != judging_digest(record.code.scorers):
        raise RegistryError(
            f"{model}: version {version} was judged by other code than there is here: clear run "
            f"{record.run_id} from plan_run on, so that the code of today judges it"
        )
    verdict = record.verdict
    for gate in verdict.gates:
        is_excused = gate.answer is Answer.CANNOT_JUDGE and gate.rule in NEEDS_CHAMPION
        if gate.answer in REFUSALS and not is_excused:
            raise RegistryError(
                f"{model}: version {version} did not fail for want of a champion alone: "
                f"{gate.gate}: {gate.reason}"
            )
    if verdict.answer is not Answer.CANNOT_JUDGE:
        raise RegistryError(
            f"{model}: the champion can be scored, and the gate's answer to version {version} was "
            f"{verdict.answer.value}: {verdict.headline}"
        )
    registry = Registry(store, model)
    head = registry.log.head()
    if verdict.judged_against != head:
        raise RegistryError(
            f"{model}: version {version} was judged against generation {verdict.judged_against}, "
            f"and the log is at {head} by now: clear run {record.run_id}, so that it is judged "
            "against the current champion"
        )
    return registry.promote_unjudged(
        version, actor=actor, reason=reason, trusted=trusted, seen=head
    )


def _obstacle(
    evidence: Evidence, approval: Approval | None, changed: str | None
) -> tuple[Outcome, str] | None:
    """Return what keeps a challenger that passed the gate from serving, or None."""
    verdict = evidence.verdict
    if evidence.manifest.params.dry_run:
        return Outcome.DRY_RUN, f"dry run: it would have been promoted: {verdict.headline}"
    if changed is not None:
        return Outcome.SUPERSEDED, f"nothing was promoted: {changed}"
    if approval is not None:
        problem = why_not_approved(approval, verdict.content_digest)
        if problem is not None:
            return Outcome.APPROVAL_REJECTED, problem
    return None


def _approval(store: Store, evidence: Evidence, run: RunRef) -> Approval | None:
    """Return the answer to a required approval; None where none is required.

    Raises:
        EvidenceError: when it is required and was not asked for on this verdict.
    """
    if ModelConfig.model_validate(evidence.manifest.config).approval != "required":
        return None
    approval = find_approval(store, evidence.paths, run.clear)
    why_not_approved(approval, evidence.verdict.content_digest)  # raises when none was asked for
    return approval


def _has_passed(store: Store, run: RunRef) -> bool:
    """Return whether the newest verdict on a run is a yes. Whether it is sound is asked later."""
    key = newest_verdict_key(store, current_plan(store, run.paths), run)
    return key is not None and Verdict.from_bytes(store.read(key), where=key).passed
