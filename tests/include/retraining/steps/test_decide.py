"""Judging, promoting and refusing, from the evidence that the jobs left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from include.retraining.decisions.evidence import judge_evidence
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.exceptions import EvidenceError, NotFound
from include.retraining.registry.promotion import Registry
from include.retraining.runs.reference import RunRef
from include.retraining.steps import decide
from include.retraining.steps.close_run import close_run
from include.retraining.store.object_store import Store
from tests.support.decide_checks import CHECKS
from tests.support.invariants import check_invariants
from tests.support.run_factory import MODEL, plant_run, run_ref


class Code:
    """The functions under test, as the checks call them."""

    check_quality = staticmethod(decide.check_quality)
    deploy = staticmethod(decide.deploy)
    abort = staticmethod(decide.abort)
    promote_unjudged = staticmethod(decide.promote_unjudged)
    evidence = staticmethod(judge_evidence)
    close_run = staticmethod(close_run)
    registry = Registry
    outcome = Outcome


# The cases of tests/faults/catalogue.yaml that a check proves.
FAULTS = {
    "a_closed_run_is_not_promoted": "G17",
    "a_damaged_version_is_not_promoted": "M04",
    "a_promotion_is_recorded_once": "F17",
    "a_promotion_is_recorded_as_one": "H11",
    "a_skipped_promotion_that_is_cleared_changes_no_decision": "I09",
    "an_empty_place_has_no_first_model": "F08",
    "nothing_is_recorded_as_promoted_that_was_not": "H11",
    "older_data_does_not_replace_newer": "G16",
    "the_rules_of_the_plan_count": "F04",
    "what_cannot_be_judged_is_refused": "F19",
    "who_is_slower_by_a_moment_is_superseded": "F18",
    "who_is_slower_is_superseded": "F18",
}


def _marked(check: Callable[[Any, Store], None]) -> Any:
    name = check.__name__
    marks = [pytest.mark.fault(FAULTS[name])] if name in FAULTS else []
    return pytest.param(check, id=name, marks=marks)


@pytest.mark.parametrize("check", [_marked(check) for check in CHECKS])
def test_decisions(check: Callable[[Any, Store], None], store: Store) -> None:
    """Every check of the wiring holds, on a folder and on S3."""
    check(Code, store)
    check_invariants(store, MODEL)


def test_an_unplanned_run_cannot_be_judged(store: Store) -> None:
    """A run without a plan is an error."""
    with pytest.raises(NotFound, match="never planned"):
        decide.check_quality(store, run_ref(1))


def test_judging_again_is_the_same(store: Store) -> None:
    """A retried judgement returns what is stored, and an altered one is an error."""
    run = plant_run(store, 1)
    verdict = decide.check_quality(store, run)
    assert decide.check_quality(store, run) == verdict
    store.write(run.paths.verdict(0), verdict.model_copy(update={"headline": "x"}).to_bytes())
    with pytest.raises(EvidenceError, match="does not follow"):
        decide.check_quality(store, run)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"run_id": "scheduled__1"', b'"run_id": "scheduled__7"', "is of"),
        (b'"problem": "binary"', b'"problem": "ranking"', "configuration is not readable"),
    ],
)
def test_an_altered_plan_decides_nothing(store: Store, old: bytes, new: bytes, says: str) -> None:
    """A plan that names another run, or whose configuration is none, is not judged."""
    run = plant_run(store, 1)
    data = store.read(run.paths.manifest)
    assert data.count(old) == 1
    store.write(run.paths.manifest, data.replace(old, new))
    with pytest.raises(EvidenceError, match=says):
        decide.check_quality(store, run)


def test_an_evaluation_of_another_version_decides_nothing(store: Store) -> None:
    """An evaluation that its own result vouches for, but of another version, is not judged."""
    run = plant_run(store, 1, report={"challenger.version": "another"})
    with pytest.raises(EvidenceError, match="another run or version"):
        decide.check_quality(store, run)


def test_another_report_than_the_callers_is_not_judged(store: Store) -> None:
    """No verdict is written; with the digest of the report that is there, it is judged."""
    run = plant_run(store, 1)
    with pytest.raises(EvidenceError, match="clear evaluate_model"):
        decide.check_quality(store, run, report_sha256="0" * 64)
    assert not store.exists(run.paths.verdict(run.clear))
    stored = judge_evidence(store, run).verdict.report_digest
    assert decide.check_quality(store, run, report_sha256=stored).report_digest == stored


@pytest.mark.fault("G01", "N03")
def test_eight_deployers_of_eight_runs(store: Store) -> None:
    """Of eight runs that deploy at once one is promoted and seven are recorded as superseded."""
    runs = [plant_run(store, day) for day in range(1, 9)]
    for run in runs:
        decide.check_quality(store, run)
    barrier = threading.Barrier(8)

    def deploy(run: RunRef) -> DecisionRecord:
        barrier.wait()
        return decide.deploy(store, run, actor="dag")

    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(deploy, runs))
    outcomes = sorted(record.outcome for record in records)
    assert outcomes == [Outcome.PROMOTED, *[Outcome.SUPERSEDED] * 7]
    check_invariants(store, MODEL, ended=runs)


@pytest.mark.fault("F17")
def test_eight_deployers_of_one_run(store: Store) -> None:
    """A run that is deployed eight times at once has one entry and one record."""
    run = plant_run(store, 1)
    decide.check_quality(store, run)
    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(lambda _: decide.deploy(store, run, actor="dag"), range(8)))
    assert {record.to_bytes() for record in records} == {records[0].to_bytes()}
    assert records[0].outcome is Outcome.PROMOTED
    check_invariants(store, MODEL, ended=[run])
