"""What any wiring of the decision must do: checks that take the functions as an argument.

The same checks hold the mutants of the gate's surroundings, so that none of them survives.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, Protocol

import pytest

from include.retraining.decisions.evidence import Evidence
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.exceptions import RetrainingError
from include.retraining.gate.verdict import Verdict
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.manifest import read_manifest
from include.retraining.runs.reference import RunRef
from include.retraining.store import layout
from include.retraining.store.object_store import Store
from tests.support.run_factory import (
    CONFIG,
    MODEL,
    WEEKLY,
    plant_run,
    run_ref,
    version_name,
)


class Wiring(Protocol):
    """The functions under test: those of the repository, or a mutant's copies of them."""

    evidence: Callable[[Store, RunRef], Evidence]
    registry: Callable[[Store, str], Registry]
    outcome: Callable[[str], Outcome]
    check_quality: Callable[[Store, RunRef], Verdict]
    deploy: Callable[..., DecisionRecord]
    abort: Callable[[Store, RunRef], DecisionRecord]
    promote_unjudged: Callable[..., PromotionEntry]
    close_run: Callable[..., DecisionRecord]


LOST = {
    "champion.error": "its files are missing",
    "champion.scores": None,
    "slices.0.champion": None,
    "slices.1.champion": None,
}
WORSE = {"challenger.metrics.accuracy": 0.5}


def _serving(store: Store) -> str | None:
    serving = PromotionLog(store, MODEL).serving()
    return serving and serving.version


def _decide(wiring: Wiring, store: Store, run: RunRef) -> DecisionRecord:
    verdict = wiring.check_quality(store, run)
    return wiring.deploy(store, run, actor="dag") if verdict.passed else wiring.abort(store, run)


def a_good_challenger_is_promoted(wiring: Wiring, store: Store) -> None:
    """The first and a better second challenger are promoted, each recorded once."""
    for day in (1, 2):
        record = _decide(wiring, store, plant_run(store, day))
        assert (record.outcome.value, record.serving.generation) == ("promoted", day)
    assert _serving(store) == version_name(2)


def a_bad_challenger_is_refused(wiring: Wiring, store: Store) -> None:
    """A challenger below its minimum is not promoted, and recorded as rejected."""
    _decide(wiring, store, plant_run(store, 1))
    record = _decide(wiring, store, plant_run(store, 2, report={"baseline.metrics.accuracy": 0.9}))
    assert record.outcome.value == "rejected"
    assert _serving(store) == version_name(1)


def what_cannot_be_judged_is_refused(wiring: Wiring, store: Store) -> None:
    """A champion that cannot be scored is no reason to promote."""
    _decide(wiring, store, plant_run(store, 1))
    lost = {"champion.error": "its files are missing", "champion.scores": None}
    record = _decide(wiring, store, plant_run(store, 2, report=lost))
    assert record.outcome.value == "cannot_judge"
    assert _serving(store) == version_name(1)


def deploy_needs_a_verdict(wiring: Wiring, store: Store) -> None:
    """Promoting without having been judged is refused."""
    run = plant_run(store, 1)
    with pytest.raises(RetrainingError, match="was not judged"):
        wiring.deploy(store, run, actor="dag")
    assert _serving(store) is None


def deploy_judges_again(wiring: Wiring, store: Store) -> None:
    """A stored verdict that was turned into a yes promotes nothing."""
    run = plant_run(store, 1, report=WORSE)
    verdict = wiring.check_quality(store, run)
    passing = type(verdict.answer)("pass")
    forged = verdict.model_copy(update={"answer": passing})
    store.write(run.paths.verdict(0), forged.to_bytes())
    with pytest.raises(RetrainingError, match="does not follow"):
        wiring.deploy(store, run, actor="dag")
    assert _serving(store) is None


def deploy_refuses_a_no(wiring: Wiring, store: Store) -> None:
    """Reaching the promotion with a verdict that is a no promotes nothing."""
    run = plant_run(store, 1, report=WORSE)
    wiring.check_quality(store, run)
    with pytest.raises(RetrainingError, match="asked to promote what the gate did not pass"):
        wiring.deploy(store, run, actor="dag")
    assert _serving(store) is None


def the_registry_refuses_a_no(wiring: Wiring, store: Store) -> None:
    """The registry itself promotes nothing that did not pass."""
    run = plant_run(store, 1, report=WORSE)
    verdict = wiring.check_quality(store, run)
    evidence = wiring.evidence(store, run)
    with pytest.raises(RetrainingError, match="did not pass"):
        wiring.registry(store, MODEL).promote(
            manifest=evidence.manifest,
            verdict=verdict,
            report=evidence.report,
            actor="dag",
            reason="x",
        )
    assert _serving(store) is None


def the_registry_refuses_another_verdict(wiring: Wiring, store: Store) -> None:
    """The registry promotes nothing by the verdict of another evaluation."""
    good, bad = plant_run(store, 1), plant_run(store, 2, report=WORSE)
    verdict = wiring.check_quality(store, good)
    evidence = wiring.evidence(store, bad)
    with pytest.raises(RetrainingError, match="nothing was promoted"):
        wiring.registry(store, MODEL).promote(
            manifest=evidence.manifest,
            verdict=verdict,
            report=evidence.report,
            actor="dag",
            reason="x",
        )
    assert _serving(store) is None


def altered_evidence_decides_nothing(wiring: Wiring, store: Store) -> None:
    """An evaluation that was edited after its step ended is not judged."""
    run = plant_run(store, 1, report=WORSE)
    data = store.read(run.paths.evaluation)
    store.write(run.paths.evaluation, data.replace(b'"accuracy": 0.5', b'"accuracy": 0.9'))
    with pytest.raises(RetrainingError, match="altered"):
        wiring.check_quality(store, run)
    assert _serving(store) is None


def a_missing_step_decides_nothing(wiring: Wiring, store: Store) -> None:
    """Without the result of every step there is no judgement, whatever Airflow says."""
    for day, step in ((1, "validate"), (2, "train"), (3, "evaluate")):
        run = plant_run(store, day)
        store.delete(run.paths.result(step))
        with pytest.raises(RetrainingError, match="left no result"):
            wiring.check_quality(store, run)
    assert _serving(store) is None


def other_rules_decide_nothing(wiring: Wiring, store: Store) -> None:
    """A plan whose rules are not those of its digest is not judged."""
    run = plant_run(store, 1)
    data = store.read(run.paths.manifest)
    weaker = data.replace(b'"min_holdout_rows": 100', b'"min_holdout_rows": 1')
    assert weaker != data
    store.write(run.paths.manifest, weaker)
    with pytest.raises(RetrainingError, match="rules are not those"):
        wiring.check_quality(store, run)


def a_dry_run_changes_nothing(wiring: Wiring, store: Store) -> None:
    """A dry run says what would have happened and promotes nothing."""
    record = _decide(wiring, store, plant_run(store, 1, dry_run=True))
    assert record.outcome.value == "dry_run"
    assert "would have been promoted" in record.reason
    record = _decide(wiring, store, plant_run(store, 2, dry_run=True, report=WORSE))
    assert record.outcome.value == "dry_run"
    assert "would have been rejected" in record.reason
    assert _serving(store) is None


def who_is_slower_is_superseded(wiring: Wiring, store: Store) -> None:
    """A challenger that was scored against an earlier champion is recorded as superseded."""
    slow = plant_run(store, 2)
    assert wiring.check_quality(store, slow).passed
    _decide(wiring, store, plant_run(store, 1))
    record = wiring.deploy(store, slow, actor="dag")
    assert record.outcome.value == "superseded"
    assert _serving(store) == version_name(1)
    assert PromotionLog(store, MODEL).head() == 1


def a_closed_run_is_not_promoted(wiring: Wiring, store: Store) -> None:
    """A process that wakes up after its run was recorded as failed promotes nothing (G17)."""
    run = plant_run(store, 1)
    wiring.check_quality(store, run)
    wiring.close_run(store, run, wiring.outcome("failed"), "Airflow gave it up")
    record = wiring.deploy(store, run, actor="dag")
    assert record.outcome.value == "failed"
    assert _serving(store) is None


def abort_refuses_a_yes(wiring: Wiring, store: Store) -> None:
    """Refusing what the gate passed is an error and leaves the run open."""
    run = plant_run(store, 1)
    wiring.check_quality(store, run)
    with pytest.raises(RetrainingError, match="asked to refuse"):
        wiring.abort(store, run)
    assert not store.exists(run.paths.decision(0))


def a_damaged_version_is_not_promoted(wiring: Wiring, store: Store) -> None:
    """A version whose file was altered after it was evaluated is not promoted."""
    run = plant_run(store, 1)
    wiring.check_quality(store, run)
    key = f"{layout.version_folder(MODEL, version_name(1))}/0-1/model.skops"
    intact = store.read(key)
    store.write(key, b"model X")
    with pytest.raises(RetrainingError, match="altered"):
        wiring.deploy(store, run, actor="dag")
    assert _serving(store) is None
    store.write(key, intact)


def older_data_does_not_replace_newer(wiring: Wiring, store: Store) -> None:
    """An old run that is cleared does not replace the newer data's version (G16)."""
    _decide(wiring, store, plant_run(store, 5))
    record = _decide(wiring, store, plant_run(store, 2))
    assert record.outcome.value == "superseded"
    assert _serving(store) == version_name(5)


def who_is_too_soon_promotes_nothing(wiring: Wiring, store: Store) -> None:
    """Before the least days have passed only a forced run with a reason promotes."""
    _decide(wiring, store, plant_run(store, 1))
    soon = [
        plant_run(store, 2, config=WEEKLY),
        plant_run(store, 3, config=WEEKLY, reason="urgent"),
        plant_run(store, 4, config=WEEKLY, force_retrain=True),
    ]
    for run in soon:
        record = _decide(wiring, store, run)
        assert record.outcome.value == "too_soon"
        assert "gates.min_days_between_promotions is 7" in record.reason
        assert _serving(store) == version_name(1)
    forced = plant_run(store, 5, config=WEEKLY, force_retrain=True, reason="urgent")
    assert _decide(wiring, store, forced).outcome.value == "promoted"


def a_promotion_is_recorded_once(wiring: Wiring, store: Store) -> None:
    """Deploying again gets the same record and makes no second entry (F17)."""
    run = plant_run(store, 1)
    first = _decide(wiring, store, run)
    assert wiring.deploy(store, run, actor="dag").to_bytes() == first.to_bytes()
    assert wiring.check_quality(store, run).passed
    assert PromotionLog(store, MODEL).head() == 1


def who_is_slower_by_a_moment_is_superseded(wiring: Wiring, store: Store) -> None:
    """Who loses the race for the very entry is recorded as superseded, and the winner serves."""
    fast, slow = plant_run(store, 1), plant_run(store, 2)
    assert wiring.check_quality(store, slow).passed
    wiring.check_quality(store, fast)
    racing = _LateStore(store, lambda: wiring.deploy(store, fast, actor="dag"))
    record = wiring.deploy(racing, slow, actor="dag")
    assert record.outcome.value == "superseded"
    assert _serving(store) == version_name(1)


class _LateStore(Store):
    """A store that lets something happen just before the first entry is put."""

    def __init__(self, store: Store, act: Callable[[], Any]) -> None:
        super().__init__(store.uri, store.options)
        self.act: Callable[[], Any] | None = act

    def create(self, key: str, data: bytes) -> bool:
        """Put an object, after the other one acted."""
        self._let_act(key)
        return super().create(key, data)

    def write(self, key: str, data: bytes) -> None:
        """Put an object, after the other one acted."""
        self._let_act(key)
        super().write(key, data)

    def _let_act(self, key: str) -> None:
        act, self.act = self.act, None
        if act is not None and "/promotions/" in key:
            act()
        else:
            self.act = act


def a_promotion_is_recorded_as_one(wiring: Wiring, store: Store) -> None:
    """A run that promoted is recorded as promoted, whoever closes it, before or after."""
    _promote_only(wiring, store, plant_run(store, 1))
    record = wiring.close_run(store, run_ref(1), wiring.outcome("failed"), "killed")
    assert (record.outcome.value, record.serving.generation) == ("promoted", 1)
    assert store.read(run_ref(1).paths.decision(0)) == record.to_bytes()
    late = plant_run(store, 2)
    wiring.close_run(store, late, wiring.outcome("failed"), "killed")
    _promote_only(wiring, store, late)
    record = wiring.close_run(store, late, wiring.outcome("failed"), "killed")
    assert (record.outcome.value, record.serving.generation) == ("promoted", 2)


def _promote_only(wiring: Wiring, store: Store, run: RunRef) -> None:
    evidence = wiring.evidence(store, run)
    wiring.registry(store, MODEL).promote(
        manifest=evidence.manifest,
        verdict=wiring.check_quality(store, run),
        report=evidence.report,
        actor="dag",
        reason="x",
    )


def a_cleared_promotion_goes_on_with_its_verdict(wiring: Wiring, store: Store) -> None:
    """When only the promotion is cleared, it goes on with the judgement that there is."""
    run = plant_run(store, 1)
    wiring.check_quality(store, run)
    wiring.close_run(store, run, wiring.outcome("failed"), "the store did not answer")
    record = wiring.deploy(store, run_ref(1, clear=1), actor="dag")
    assert (record.outcome.value, record.clear) == ("promoted", 1)
    first = wiring.close_run(store, run, wiring.outcome("failed"), "once more")
    assert (first.outcome.value, first.clear) == ("failed", 0)
    again = wiring.deploy(store, run_ref(1, clear=2), actor="dag")
    assert (again.outcome.value, again.clear) == ("no_change", 2)
    assert PromotionLog(store, MODEL).head() == 1


def a_skipped_promotion_that_is_cleared_changes_no_decision(wiring: Wiring, store: Store) -> None:
    """Without a yes of the gate the decision of before stands, and is recorded as it was (I09)."""
    run = plant_run(store, 1, report={"baseline.metrics.accuracy": 0.9})
    rejected = _decide(wiring, store, run)
    record = wiring.deploy(store, run_ref(1, clear=1), actor="dag")
    assert (record.outcome.value, record.clear) == ("rejected", 1)
    assert record.reason.endswith(f"what was decided before stands: {rejected.reason}")
    assert _serving(store) is None
    planned = plant_run(store, 2, evaluated=False)
    wiring.close_run(store, planned, wiring.outcome("no_change"), "nothing is new")
    again = wiring.deploy(store, run_ref(2, clear=1), actor="dag")
    assert again.outcome.value == "no_change"


def nothing_is_recorded_as_promoted_that_was_not(wiring: Wiring, store: Store) -> None:
    """Closing a run as promoted without an entry in the log is an error (H11)."""
    run = plant_run(store, 1)
    wiring.check_quality(store, run)
    with pytest.raises(RetrainingError, match="no entry made by it"):
        wiring.close_run(store, run, wiring.outcome("promoted"), "x")


def an_altered_log_promotes_nothing(wiring: Wiring, store: Store) -> None:
    """A log whose chain is broken is an error, and nothing is added to it."""
    for day in (1, 2):
        _decide(wiring, store, plant_run(store, day))
    run = plant_run(store, 3)
    wiring.check_quality(store, run)
    key = layout.promotion_key(MODEL, 1)
    intact = store.read(key)
    store.write(key, intact.replace(b'"actor": "dag"', b'"actor": "eve"'))
    with pytest.raises(RetrainingError, match="altered"):
        wiring.deploy(store, run, actor="dag")
    with pytest.raises(RetrainingError, match="does not follow the entry before it"):
        wiring.registry(store, MODEL).log.entry(2)
    store.write(key, intact)
    assert PromotionLog(store, MODEL).head() == 2


def an_empty_place_has_no_first_model(wiring: Wiring, store: Store) -> None:
    """A place without a marker is an error and never a model without a champion (F08)."""
    run = plant_run(store, 1)
    wiring.check_quality(store, run)
    marker = store.read("store.json")
    store.delete("store.json")
    with pytest.raises(RetrainingError, match="is not a store"):
        wiring.deploy(store, run, actor="dag")
    store.write("store.json", marker)
    assert _serving(store) is None


def the_rules_of_the_plan_count(wiring: Wiring, store: Store) -> None:
    """A run is judged by the rules that it was planned with."""
    run = plant_run(store, 1)
    assert wiring.check_quality(store, run).policy_digest == CONFIG.gates.digest


def another_runs_results_decide_nothing(wiring: Wiring, store: Store) -> None:
    """Results that are copied from another run are refused."""
    good, bad = plant_run(store, 1), plant_run(store, 2, report=WORSE)
    for name in ("evaluate.json", "evaluation.json"):
        store.write(f"{bad.paths.folder}/{name}", store.read(f"{good.paths.folder}/{name}"))
    with pytest.raises(RetrainingError):
        wiring.check_quality(store, run_ref(2))


def other_code_judges_nothing(wiring: Wiring, store: Store) -> None:
    """A run is judged by the code that it was planned with, and one of before by any."""
    for number, judge, is_judged in ((1, "0" * 64, False), (2, None, True)):
        run = plant_run(store, number)
        manifest = read_manifest(store, run.paths)
        pinned = manifest.code.model_copy(update={"judging_digest": judge})
        altered = manifest.model_copy(update={"code": pinned})
        store.write(run.paths.manifest, altered.to_bytes())
        if is_judged:
            assert wiring.check_quality(store, run).passed
        else:
            with pytest.raises(RetrainingError, match="the code that judges changed"):
                wiring.check_quality(store, run)


def a_lost_champion_excuses_what_compares_with_it(wiring: Wiring, store: Store) -> None:
    """A version that only a lost champion kept from being judged serves where a user asks for it.

    So does one whose record is from before gates named their rule.
    """
    _decide(wiring, store, plant_run(store, 1))
    for day, is_old in ((2, False), (3, True)):
        run = plant_run(store, day, report=LOST, model_bytes=_loadable_model())
        _decide(wiring, store, run)
        if is_old:
            forget_rules(store, run.paths.decision(0))
        entry = _promote_unjudged(wiring, store, day)
        assert (entry.version, entry.generation) == (version_name(day), day)


def a_lost_champion_excuses_nothing_else(wiring: Wiring, store: Store) -> None:
    """A slice that is called like the champion's rule, and any refusal, still stand in the way."""
    _decide(wiring, store, plant_run(store, 1))
    slice_of_that_name = {"slices.0.value": "north against champion", "slices.0.challenger": None}
    for day, is_old in ((2, False), (3, True)):
        run = plant_run(store, day, report=LOST | slice_of_that_name)
        _decide(wiring, store, run)
        if is_old:
            forget_rules(store, run.paths.decision(0))
        with pytest.raises(RetrainingError, match="slice region=north against champion: what was"):
            _promote_unjudged(wiring, store, day)
    _decide(wiring, store, plant_run(store, 4, report={"champion.comparison.lower": -0.5}))
    with pytest.raises(RetrainingError, match="want of a champion alone: against champion"):
        _promote_unjudged(wiring, store, 4)
    assert _serving(store) == version_name(1)


def forget_rules(store: Store, key: str) -> None:
    """Leave a stored document as it was written before gates named their rule."""
    document = json.loads(store.read(key))
    for gate in document["verdict"]["gates"]:
        del gate["rule"], gate["subject"]
    store.write(key, json.dumps(document).encode())


def _promote_unjudged(wiring: Wiring, store: Store, day: int) -> PromotionEntry:
    how = {"actor": "ann", "reason": "the champion is lost", "trusted": ()}
    return wiring.promote_unjudged(store, MODEL, version_name(day), **how)


@cache
def _loadable_model() -> bytes:
    import skops.io
    from sklearn.dummy import DummyClassifier

    data: bytes = skops.io.dumps(DummyClassifier(strategy="prior").fit([[0], [1]], [0, 1]))
    return data


CHECKS: tuple[Callable[[Any, Store], None], ...] = (
    a_good_challenger_is_promoted,
    a_bad_challenger_is_refused,
    what_cannot_be_judged_is_refused,
    deploy_needs_a_verdict,
    deploy_judges_again,
    deploy_refuses_a_no,
    a_skipped_promotion_that_is_cleared_changes_no_decision,
    the_registry_refuses_a_no,
    the_registry_refuses_another_verdict,
    altered_evidence_decides_nothing,
    a_missing_step_decides_nothing,
    other_rules_decide_nothing,
    a_dry_run_changes_nothing,
    who_is_slower_is_superseded,
    a_closed_run_is_not_promoted,
    abort_refuses_a_yes,
    a_damaged_version_is_not_promoted,
    older_data_does_not_replace_newer,
    who_is_too_soon_promotes_nothing,
    a_promotion_is_recorded_once,
    who_is_slower_by_a_moment_is_superseded,
    a_promotion_is_recorded_as_one,
    a_cleared_promotion_goes_on_with_its_verdict,
    nothing_is_recorded_as_promoted_that_was_not,
    an_altered_log_promotes_nothing,
    an_empty_place_has_no_first_model,
    the_rules_of_the_plan_count,
    another_runs_results_decide_nothing,
    other_code_judges_nothing,
    a_lost_champion_excuses_what_compares_with_it,
    a_lost_champion_excuses_nothing_else,
)
