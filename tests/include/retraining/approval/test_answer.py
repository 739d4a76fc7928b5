"""Tests of what a person's answer allows, and of what it does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from include.retraining.approval.answer import (
    Approval,
    find_answer,
    find_approval,
    write_approval,
)
from include.retraining.decisions.record import Outcome
from include.retraining.exceptions import EvidenceError
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.manifest import read_manifest
from include.retraining.runs.reference import RunRef
from include.retraining.steps.decide import abort, check_quality, deploy
from include.retraining.store.object_store import Store
from tests.support.run_factory import MODEL, START, decide, plant_run, run_ref, version_name


def plant_question(store: Store, number: int = 1, **more: Any) -> RunRef:
    """Plant a judged run of a model whose promotions a person must approve."""
    run = plant_run(store, number, **more)
    manifest = read_manifest(store, run.paths)
    config = {**manifest.config, "approval": "required"}
    store.write(run.paths.manifest, manifest.model_copy(update={"config": config}).to_bytes())
    check_quality(store, run)
    return run


def say(store: Store, run: RunRef, **given: Any) -> Approval:
    """Answer the question about a run: approved by Ada with a note, unless told otherwise."""
    verdict = check_quality(store, run)
    values = {
        "run_id": run.run_id,
        "clear": run.clear,
        "verdict_digest": verdict.content_digest,
        "choice": "approve",
        "by": "ada",
        "note": "it is better",
        "answered_at": START,
    }
    return write_approval(store, run.paths, Approval.model_validate(values | given))


def head(store: Store) -> int:
    """Return how many entries the promotion log has."""
    return PromotionLog(store, MODEL).head()


def test_an_approval_promotes_in_the_name_of_who_gave_it(store: Store) -> None:
    """Record and log entry hold the person and the note."""
    run = plant_question(store)
    given = say(store, run)
    record = deploy(store, run, actor="the DAG")
    assert (record.outcome, record.approval) == (Outcome.PROMOTED, given)
    (entry,) = PromotionLog(store, MODEL).history()
    assert (entry.actor, entry.reason) == ("ada", "it is better")


def test_without_an_answer_nothing_is_promoted_or_refused(store: Store) -> None:
    """Who runs the promotion past the question gets an error, and the run stays open."""
    run = plant_question(store)
    for act in (lambda: deploy(store, run, actor="eve"), lambda: abort(store, run)):
        with pytest.raises(EvidenceError, match="none was asked"):
            act()
    assert head(store) == 0
    assert not store.exists(run.paths.decision(0))


def test_an_approval_of_another_verdict_counts_for_nothing(store: Store) -> None:
    """A yes is a yes to what was shown, and to nothing else."""
    run = plant_question(store)
    say(store, run, verdict_digest="0" * 64)
    with pytest.raises(EvidenceError, match="none was asked for this verdict"):
        deploy(store, run, actor="the DAG")
    assert head(store) == 0


@pytest.mark.parametrize("note", [None, "", "  \n "])
def test_an_approval_without_a_note_is_refused_with_a_record(
    store: Store, note: str | None
) -> None:
    """The record says who approved and what to do."""
    run = plant_question(store)
    say(store, run, note=note)
    record = deploy(store, run, actor="the DAG")
    assert record.outcome is Outcome.APPROVAL_REJECTED
    assert "approved by ada without a note" in record.reason
    assert "clear approve_promotion" in record.reason
    assert head(store) == 0


@pytest.mark.parametrize(
    ("given", "outcome", "reason"),
    [
        ({"choice": "reject"}, Outcome.APPROVAL_REJECTED, "rejected by ada: it is better"),
        ({"choice": "reject", "note": None}, Outcome.APPROVAL_REJECTED, "rejected by ada"),
        (
            {"choice": "reject", "by": None, "note": None},
            Outcome.APPROVAL_EXPIRED,
            "it was not approved in time",
        ),
    ],
)
def test_a_no_is_recorded_and_changes_nothing(
    store: Store, given: dict[str, Any], outcome: Outcome, reason: str
) -> None:
    """A person's no and the end of the time are told apart."""
    decide(store, plant_run(store, 1))
    run = plant_question(store, 2)
    say(store, run, **given)
    record = abort(store, run)
    assert (record.outcome, record.reason) == (outcome, reason)
    assert record.serving is not None
    assert record.serving.version == version_name(1)
    assert head(store) == 1


@pytest.mark.parametrize("given", [{"choice": "reject"}, {"choice": "reject", "by": None}])
def test_a_no_is_never_promoted(store: Store, given: dict[str, Any]) -> None:
    """Whoever runs the promotion behind a no promotes nothing."""
    run = plant_question(store)
    say(store, run, **given)
    assert deploy(store, run, actor="eve").outcome is Outcome.APPROVAL_REJECTED
    assert head(store) == 0


def test_an_approved_run_cannot_be_refused(store: Store) -> None:
    """Refusing what was approved is an error and leaves the run open."""
    run = plant_question(store)
    say(store, run)
    with pytest.raises(EvidenceError, match="asked to refuse what the gate passed"):
        abort(store, run)
    assert not store.exists(run.paths.decision(0))


def test_an_approval_is_no_good_once_another_serves(store: Store) -> None:
    """The champion that the approver saw was replaced meanwhile: superseded."""
    run = plant_question(store, 2)
    say(store, run)
    decide(store, plant_run(store, 1))
    assert deploy(store, run, actor="the DAG").outcome is Outcome.SUPERSEDED
    assert head(store) == 1


def test_an_approval_is_no_good_for_other_code(store: Store) -> None:
    """What changed under the run while it waited supersedes it, whatever was approved."""
    run = plant_question(store)
    say(store, run)
    record = deploy(store, run, actor="the DAG", changed="model.py changed")
    assert (record.outcome, record.reason) == (
        Outcome.SUPERSEDED,
        "nothing was promoted: model.py changed",
    )
    assert head(store) == 0


def test_an_approval_does_not_pass_a_hold(store: Store) -> None:
    """After a rollback only a release lets anything be promoted, an approval does not."""
    for day in (1, 2):
        decide(store, plant_run(store, day))
    Registry(store, MODEL).rollback(version_name(1), actor="ada", reason="a complaint")
    run = plant_question(store, 3)
    say(store, run)
    assert deploy(store, run, actor="the DAG").outcome is Outcome.HELD
    assert head(store) == 3


def test_a_dry_run_needs_no_answer(store: Store) -> None:
    """It promotes nothing, so nobody is asked."""
    run = plant_question(store, dry_run=True)
    assert deploy(store, run, actor="the DAG").outcome is Outcome.DRY_RUN
    assert head(store) == 0


def test_the_first_answer_counts(store: Store) -> None:
    """A second answer of the same clear changes nothing."""
    run = plant_question(store)
    first = say(store, run)
    assert say(store, run, choice="reject", answered_at=START + timedelta(hours=1)) == first
    assert find_answer(store, run.paths, 0) == first


def test_a_clear_may_go_on_with_the_answer_or_ask_again(store: Store) -> None:
    """A clear that does not reach back has the answer that there is; its own comes first."""
    run = plant_question(store)
    first = say(store, run)
    again = run_ref(1, clear=1)
    assert find_answer(store, again.paths, 1) is None
    assert find_approval(store, again.paths, 1) == first
    second = say(store, again, note="once more")
    assert find_approval(store, again.paths, 1) == second
    assert find_approval(store, again.paths, 0) == first
    assert find_approval(store, run_ref(2).paths, 3) is None


def test_a_damaged_answer_is_no_answer(store: Store) -> None:
    """It is an error that names the file, never a yes."""
    run = plant_question(store)
    store.write(run.paths.approval(0), b"{}")
    with pytest.raises(EvidenceError, match="approval-0"):
        deploy(store, run, actor="the DAG")
    assert head(store) == 0
