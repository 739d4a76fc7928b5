"""Decision records: one for every run, whatever ends it, and the log has the last word."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from include.retraining.decisions.record import FINISHED, DecisionRecord, Outcome
from include.retraining.decisions.records import consumed_flag, decisions, find_decision
from include.retraining.exceptions import EvidenceError
from include.retraining.fingerprint.pinned import Flag
from include.retraining.gate.report import EvaluationReport
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.manifest import Params, read_manifest
from include.retraining.steps.close_run import close_run
from include.retraining.steps.decide import check_quality
from include.retraining.store import layout
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.invariants import check_invariants
from tests.support.run_factory import FLAG_URI, MODEL, decide, plant_run, run_ref, version_name


def promote_only(store: Store, number: int) -> None:
    """Append a run's entry to the log without closing the run, as a killed process would."""
    run = run_ref(number)
    verdict = check_quality(store, run)
    data = store.read(run.paths.evaluation)
    Registry(store, MODEL).promote(
        manifest=read_manifest(store, run.paths),
        verdict=verdict,
        report=EvaluationReport.from_bytes(data, where="evaluation"),
        actor="late",
        reason="late",
    )


def test_a_run_that_left_nothing_has_a_record(store: Store) -> None:
    """A run that ended before it was planned is recorded with what its caller knows."""
    flag = Flag(uri=FLAG_URI, identity="x", is_consumable=True)
    record = close_run(
        store,
        run_ref(1),
        Outcome.NO_DATA,
        "no flag within 600 s",
        failed_task="wait_for_data",
        params=Params(date=date(2026, 1, 2)),
        flag=flag,
    )
    assert record == next(decisions(store, MODEL))
    assert (record.outcome, record.failed_task) == (Outcome.NO_DATA, "wait_for_data")
    assert (record.flag, record.delivery, record.code, record.verdict) == (flag, None, None, None)
    assert (record.serving, record.previous, record.version) == (None, None, None)
    check_invariants(store, MODEL, ended=[run_ref(1)])


def test_a_record_holds_all_that_the_run_pinned(store: Store) -> None:
    """The record of a run has its data, code, digests, params, verdict and evaluation."""
    run = plant_run(store, 1, reason="why not")
    decide(store, run)
    (record,) = decisions(store, MODEL)
    manifest = read_manifest(store, run.paths)
    assert record.delivery == manifest.delivery
    assert record.code == manifest.code
    assert (record.config_digest, record.policy_digest) == (
        manifest.config_digest,
        manifest.policy_digest,
    )
    assert record.params is not None
    assert record.params.reason == "why not"
    assert (record.fingerprint, record.version) == (manifest.fingerprint, version_name(1))
    assert (record.rows, record.title, record.cause.run_type) == (2500, "Toy & model", "scheduled")
    assert record.verdict is not None
    assert record.report is not None
    assert record.serving is not None
    assert record.serving_since == PromotionLog(store, MODEL).champion().created_at  # type: ignore[union-attr]


@pytest.mark.parametrize("outcome", [item for item in Outcome if item is not Outcome.PROMOTED])
def test_the_first_record_stays(folder: Store, outcome: Outcome) -> None:
    """A run that is closed again with any outcome keeps the record it has (V6)."""
    run = plant_run(folder, 1)
    first = close_run(folder, run, Outcome.FAILED, "the first")
    assert close_run(folder, run, outcome, "the second") == first
    assert len(list(decisions(folder, MODEL))) == 1


@pytest.mark.fault("N03")
def test_eight_closers_agree(store: Store) -> None:
    """Eight callbacks that close a run at once, each with another outcome, get one record."""
    run = plant_run(store, 1)
    outcomes = [outcome for outcome in Outcome if outcome is not Outcome.PROMOTED][:8]
    barrier = threading.Barrier(8)

    def close(outcome: Outcome) -> DecisionRecord:
        barrier.wait()
        return close_run(store, run, outcome, outcome.value)

    with ThreadPoolExecutor(8) as pool:
        records = list(pool.map(close, outcomes))
    assert len({record.to_bytes() for record in records}) == 1
    check_invariants(store, MODEL, ended=[run])


def test_a_cleared_run_gets_another_record(store: Store) -> None:
    """Clearing a run that ended opens a second record beside the first."""
    run = plant_run(store, 1)
    close_run(store, run, Outcome.FAILED, "first")
    close_run(store, run_ref(1, clear=1), Outcome.CANCELLED, "second")
    assert [(item.clear, item.outcome) for item in decisions(store, MODEL)] == [
        (1, Outcome.CANCELLED),
        (0, Outcome.FAILED),
    ]


@pytest.mark.fault("H11")
def test_promoted_is_what_the_log_says(store: Store) -> None:
    """Whoever closes a run that promoted, with whatever outcome, records it as promoted."""
    plant_run(store, 1)
    promote_only(store, 1)
    record = close_run(store, run_ref(1), Outcome.FAILED, "the task was killed")
    assert record.outcome is Outcome.PROMOTED
    assert record.serving is not None
    assert (record.serving.version, record.previous) == (version_name(1), None)
    check_invariants(store, MODEL, ended=[run_ref(1)])


@pytest.mark.fault("H11")
def test_nothing_is_recorded_as_promoted_that_was_not(store: Store) -> None:
    """A caller that believes in a promotion that the log does not have gets an error (H11)."""
    run = plant_run(store, 1)
    check_quality(store, run)
    with pytest.raises(EvidenceError, match="no entry made by it"):
        close_run(store, run, Outcome.PROMOTED, "promoted")
    assert list(decisions(store, MODEL)) == []


@pytest.mark.fault("G17")
def test_failed_is_not_the_last_word_when_the_champion_moved(store: Store) -> None:
    """A promotion after the run was recorded as failed is corrected for every reader (G17)."""
    run = plant_run(store, 1)
    check_quality(store, run)
    failed = close_run(store, run, Outcome.FAILED, "Airflow gave the task up")
    promote_only(store, 1)
    # Every reader sees it even before anyone wrote the correction.
    assert find_decision(store, run).outcome is Outcome.PROMOTED  # type: ignore[union-attr]
    assert next(decisions(store, MODEL)).outcome is Outcome.PROMOTED
    assert consumed_flag(store, MODEL, FLAG_URI, for_run="another") == "identity 1"
    corrected = close_run(store, run, Outcome.FAILED, "once more")
    assert corrected.outcome is Outcome.PROMOTED
    assert "recorded as failed before it was promoted (Airflow gave the task up)" in (
        corrected.reason
    )
    key = run.paths.decision(0)
    assert store.read(key) == failed.to_bytes()  # the first record is never edited
    assert store.exists(key.replace(".json", ".corrected.json"))
    assert close_run(store, run, Outcome.CANCELLED, "again") == corrected
    check_invariants(store, MODEL, ended=[run])


def test_a_correction_finds_the_verdict_that_came_later(store: Store) -> None:
    """A run that was recorded as failed before it was judged is corrected too."""
    run = plant_run(store, 1)
    close_run(store, run, Outcome.FAILED, "marked failed by hand")
    promote_only(store, 1)
    corrected = close_run(store, run, Outcome.FAILED, "once more")
    assert corrected.outcome is Outcome.PROMOTED
    assert next(decisions(store, MODEL)) == corrected


def test_the_second_promotion_names_what_served_before(folder: Store) -> None:
    """A promoted record says what served before and what serves after it."""
    for day in (1, 2):
        decide(folder, plant_run(folder, day))
    record = next(decisions(folder, MODEL))
    assert record.previous is not None
    assert record.serving is not None
    assert (record.previous.generation, record.serving.generation) == (1, 2)


def test_a_damaged_run_can_be_closed(folder: Store) -> None:
    """A run whose files are damaged still gets its record, without what cannot be read."""
    run = plant_run(folder, 1)
    check_quality(folder, run)
    for key in (run.paths.manifest, run.paths.verdict(0), run.paths.result("validate")):
        folder.write(key, b"{")
    record = close_run(folder, run, Outcome.FAILED, "broken")
    assert (record.outcome, record.delivery, record.verdict) == (Outcome.FAILED, None, None)


def test_a_run_can_be_closed_while_the_log_is_damaged(folder: Store) -> None:
    """A damaged promotion log does not keep a run from being recorded, and is mentioned."""
    decide(folder, plant_run(folder, 1))
    folder.write(layout.promotion_key(MODEL, 1), b"{")
    record = close_run(folder, run_ref(2), Outcome.FAILED, "broken")
    assert record.serving is None
    assert "the champion is unknown" in record.reason


def test_an_evaluation_that_was_not_judged_is_left_out(folder: Store) -> None:
    """A record shows only the evaluation that its verdict was made from."""
    run = plant_run(folder, 1)
    check_quality(folder, run)
    folder.write(run.paths.evaluation, folder.read(run.paths.evaluation) + b" ")
    record = close_run(folder, run, Outcome.FAILED, "broken")
    assert record.verdict is not None
    assert record.report is None


def test_decisions_come_newest_first_and_can_be_limited(folder: Store) -> None:
    """Records are read lazily, that of the run due last first."""
    for day in (2, 10, 1):
        close_run(folder, run_ref(day), Outcome.NO_DATA, str(day))
    assert [record.reason for record in decisions(folder, MODEL)] == ["10", "2", "1"]
    assert [record.reason for record in decisions(folder, MODEL, limit=2)] == ["10", "2"]
    folder.write(run_ref(1).paths.decision(0), b"{")
    assert next(decisions(folder, MODEL)).reason == "10"
    with pytest.raises(EvidenceError):
        list(decisions(folder, MODEL))


def test_litter_is_no_record(folder: Store) -> None:
    """Foreign files among the records are passed over."""
    close_run(folder, run_ref(1), Outcome.NO_DATA, "x")
    folder.write(f"{layout.decisions_folder(MODEL)}/notes.txt", b"hello")
    assert len(list(decisions(folder, MODEL))) == 1


@pytest.mark.fault("A10")
@pytest.mark.parametrize("outcome", [item for item in Outcome if item is not Outcome.PROMOTED])
def test_only_a_finished_decision_consumes_its_flag(folder: Store, outcome: Outcome) -> None:
    """A flag is consumed by the record of a decision, and by no other end of a run (A10)."""
    run = plant_run(folder, 1)
    assert consumed_flag(folder, MODEL, FLAG_URI, for_run="another") is None
    close_run(folder, run, outcome, "x")
    expected = "identity 1" if outcome in FINISHED else None
    assert consumed_flag(folder, MODEL, FLAG_URI, for_run="another") == expected
    assert consumed_flag(folder, MODEL, "s3://landing/other.flag", for_run="another") is None


def test_the_newest_finished_decision_counts(folder: Store) -> None:
    """A later run that failed leaves the flag consumed by the earlier decision."""
    for day, outcome in ((1, Outcome.REJECTED), (2, Outcome.REJECTED), (3, Outcome.FAILED)):
        close_run(folder, plant_run(folder, day), outcome, "x")
    assert consumed_flag(folder, MODEL, FLAG_URI, for_run="another") == "identity 2"


def test_a_dated_flag_is_not_consumed(folder: Store) -> None:
    """A flag with a date in its path is never consumed."""
    flag = Flag(uri=FLAG_URI, identity="x", is_consumable=False)
    close_run(folder, run_ref(1), Outcome.REJECTED, "x", flag=flag)
    assert consumed_flag(folder, MODEL, FLAG_URI, for_run="another") is None


def test_secrets_are_not_recorded(folder: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reason that holds a secret is recorded without it, on one line, and cut."""
    options = {"AWS_SECRET_ACCESS_KEY": "c4nary-value", "AWS_REGION": "eu-west-1"}
    monkeypatch.setenv("RETRAINING_STORE_OPTIONS", json.dumps(options))
    reason = "no\naccess with c4nary-value in eu-west-1 at https://u:p4ss@host/ " + "x" * 5000
    record = close_run(folder, run_ref(1), Outcome.FAILED, reason)
    assert record.reason.startswith("no access with *** in eu-west-1 at https://***host/")
    assert len(record.reason) == 1000


def test_a_runs_own_decision_does_not_consume_its_flag(folder: Store) -> None:
    """A person who clears a run wants it decided again, on the flag that is there."""
    run = plant_run(folder, 1)
    close_run(folder, run, Outcome.CANNOT_JUDGE, "the champion is lost")
    assert consumed_flag(folder, MODEL, FLAG_URI, for_run=run.run_id) is None
    assert consumed_flag(folder, MODEL, FLAG_URI, for_run="another") == "identity 1"


def test_a_dry_run_consumes_nothing(folder: Store) -> None:
    """However it ended, it changes nothing for the run that is meant."""
    run = plant_run(folder, 1, dry_run=True)
    close_run(folder, run, Outcome.DATA_REJECTED, "x")
    assert consumed_flag(folder, MODEL, FLAG_URI, for_run="another") is None


def test_a_damaged_verdict_does_not_hide_a_promotion(store: Store) -> None:
    """The log's entry names the run; that is enough to record it as promoted."""
    run = plant_run(store, 1)
    check_quality(store, run)
    promote_only(store, 1)
    store.write(run.paths.verdict(0), b"{")
    record = close_run(store, run, Outcome.FAILED, "Airflow gave the task up")
    assert record.outcome is Outcome.PROMOTED
    assert record.version == version_name(1)


def test_a_damaged_verdict_does_not_hide_a_late_promotion(store: Store) -> None:
    """The same when the run had been recorded as failed before it promoted."""
    run = plant_run(store, 1)
    check_quality(store, run)
    close_run(store, run, Outcome.FAILED, "Airflow gave the task up")
    promote_only(store, 1)
    key = run.paths.decision(0)
    stored = json.loads(store.read(key))
    store.write(key, json.dumps(stored | {"verdict": None, "report": None}).encode())
    store.write(run.paths.verdict(0), b"{")
    assert close_run(store, run, Outcome.FAILED, "once more").outcome is Outcome.PROMOTED
    assert next(decisions(store, MODEL)).outcome is Outcome.PROMOTED


def test_the_stores_own_secrets_are_not_recorded(tmp_path: Path) -> None:
    """They are masked by value, wherever their name was lost."""
    (tmp_path / "store").mkdir()
    options = {"AWS_SECRET_ACCESS_KEY": "c4nary-value"}
    store = initialise(f"file://{tmp_path / 'store'}", options)
    record = close_run(store, run_ref(1), Outcome.FAILED, "denied for c4nary-value")
    assert record.reason == "denied for ***"
