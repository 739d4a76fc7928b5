"""What an older release stored: read as before, scored as before, and trained once more."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import sklearn

from include.local_airflow.demo import samples
from include.pages.run_page import run_page
from include.retraining.__main__ import main
from include.retraining.config.model import load_model
from include.retraining.decisions.record import Outcome
from include.retraining.decisions.records import decisions
from include.retraining.gate.verdict import Answer
from include.retraining.history.overview import summarize_model
from include.retraining.runs.manifest import Params, RunManifest, TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.steps.decide import check_quality, deploy, judge_evidence
from include.retraining.steps.plan import changed_since, plan_run, unchanged, why_judged_again
from include.retraining.steps.runner import run_steps
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import OPTIONS_VARIABLE, URI_VARIABLE, Store

MODEL = "diabetes_progression"
CHAMPION = "45f31f217272c8d5"
UNJUDGED = "ae9b2de72ab45f9f"
LAST = "20261122T060000-third-b1e99324"
MANUAL = TriggeredBy(run_type="manual")
OLDER = Path(__file__).parents[2] / "support" / "older_store"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A copy of the older release's store."""
    folder = tmp_path / "store"
    shutil.copytree(OLDER, folder)
    monkeypatch.setenv(URI_VARIABLE, folder.as_uri())
    monkeypatch.setenv(OPTIONS_VARIABLE, "{}")
    return Store(folder.as_uri(), {})


def plan(store: Store, run_id: str, day: date) -> RunManifest:
    """Plan a run of today's code for the delivery that was promoted then."""
    samples.land(store, MODEL)
    return plan_run(
        store,
        load_model(MODEL),
        dag_id=f"retrain_{MODEL}",
        run_id=run_id,
        run_after=datetime(day.year, day.month, day.day, 6, tzinfo=UTC),
        params=Params(date=day),
        cause=MANUAL,
    )


COMMANDS = {
    f"champion {MODEL}": f"version {CHAMPION} (generation 1, r2 0.4553) serves since",
    f"verify {MODEL}": "1 entry, 1 version, 3 records: sound",
    f"history {MODEL} --json": CHAMPION,
    f"decisions {MODEL} --json": UNJUDGED,
    f"why {MODEL}": f"version {CHAMPION} (generation 1) serves since",
    "show first": "promoted",
    "show third": "cannot_judge",
    "audit --from 2026-01-01 --to 2099-01-01 --json": '"judging_digest": null',
    f"gc {MODEL}": "",
    f"gate-replay {MODEL} --policy include/models/{MODEL}.yaml": "cannot_judge cannot_judge",
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_reads_what_an_older_release_stored(
    store: Store, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A record without digests is a record like any other."""
    assert main(command.split()) == 0
    assert COMMANDS[command] in " ".join(capsys.readouterr().out.split())


def test_a_runs_page_shows_what_an_older_release_stored(store: Store) -> None:
    """It has its outcome, its verdict and what it was made from."""
    shown = run_page(store, MODEL, LAST, "/retraining")
    assert shown.record is not None
    assert shown.record.outcome is Outcome.CANNOT_JUDGE
    summary = summarize_model(store, MODEL, entries=5)
    assert summary.champion is not None
    assert (summary.champion.version, list(summary.problems)) == (CHAMPION, [])


def test_the_evidence_of_an_older_release_is_judged(store: Store) -> None:
    """And a run that is in flight at the upgrade promotes nothing: the code changed under it."""
    due = datetime(2026, 11, 20, 6, tzinfo=UTC)
    evidence = judge_evidence(store, RunRef(MODEL, "retrain", "first", due, 0, MANUAL))
    assert evidence.verdict.passed
    assert "changed since the run was planned" in (changed_since(evidence.manifest) or "")


def test_a_verdict_of_an_older_release_promotes_nothing_by_hand(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """What judges now has not judged that version; the run to clear is named."""
    words = ["promote", MODEL, "--version", UNJUDGED, "--unjudged-champion", "--reason", "please"]
    assert main(words) == 1
    assert "judged by other code than there is here: clear run third" in capsys.readouterr().err


def test_a_cleared_run_of_an_older_release_is_planned_anew(store: Store) -> None:
    """What its steps left belongs to the older plan, and is no evidence for the new one."""
    manifest = plan(store, "third", date(2026, 11, 22))
    assert manifest.run == f"{LAST}.2"
    assert manifest.version not in {CHAMPION, UNJUDGED}


@pytest.mark.skipif(
    sklearn.__version__.split(".")[:2] != ["1", "9"], reason="the older champion is of 1.9"
)
def test_the_first_run_after_the_upgrade_trains_once(store: Store) -> None:
    """The same data are trained once more and held against the champion; then nothing is new."""
    manifest = plan(store, "fourth", date(2026, 11, 23))
    assert manifest.champion is not None
    assert manifest.champion.version == CHAMPION
    assert unchanged(store, manifest) is None
    assert why_judged_again(store, manifest) is None
    paths = RunPaths(MODEL, manifest.run)
    assert run_steps(["validate", "train", "evaluate"], paths.uri(store.uri), "a") == 0
    assert json.loads(store.read(paths.result("train")))["adopted"] is False
    run = RunRef(MODEL, manifest.dag_id, "fourth", manifest.run_after, 0, MANUAL)
    verdict = check_quality(store, run)
    assert verdict.judged_against == 1
    against = [gate for gate in verdict.gates if gate.gate.startswith("against champion")]
    assert [gate.answer for gate in against] == [Answer.PASS] * len(against) != []
    assert deploy(store, run, actor="dag").outcome is Outcome.PROMOTED

    again = plan(store, "fifth", date(2026, 11, 24))
    assert again.version == manifest.version
    assert unchanged(store, again) == next(iter(decisions(store, MODEL)))
