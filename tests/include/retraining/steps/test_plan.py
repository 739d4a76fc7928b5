from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.exceptions import DeliveryError, EvidenceError, NotFound
from include.retraining.fingerprint import digests
from include.retraining.runs.manifest import (
    Params,
    RunManifest,
    Serving,
    current_plan,
    find_manifest,
    read_manifest,
)
from include.retraining.steps import plan as planning
from include.retraining.steps.plan import answer_of, unchanged, why_judged_again
from include.retraining.store.layout import RunPaths, version_manifest_key
from include.retraining.store.object_store import Store
from tests.support import apples
from tests.support.apples import DAY, FLAG, FOLDER, deliver, paths_of, plan

pytest_plugins = ("tests.support.apples_fixtures",)


def test_a_plan_pins_data_code_and_configuration(apples_store: Store):
    """The manifest in the store is what planning returns, and says all that a run needs."""
    deliver(apples_store)
    manifest = plan(apples_store)
    assert read_manifest(apples_store, paths_of(manifest)) == manifest
    assert manifest.run.startswith("20261124T060000-manual__1-")
    assert manifest.version == manifest.fingerprint[:16]
    assert manifest.config["training"]["seed"] == manifest.seed == 7
    assert manifest.policy_digest == apples.config().gates.digest
    assert manifest.code.git_sha == "abc123"
    assert manifest.champion is None
    assert [file.name for file in manifest.delivery.files] == ["data.csv"]


def test_a_delivery_that_is_not_complete_is_not_planned(apples_store: Store):
    """Without a complete delivery there is no manifest."""
    with pytest.raises(DeliveryError, match="not complete"):
        plan(apples_store)
    assert apples_store.objects("models") == []


SAME: list[dict[str, Any]] = [
    {"run_id": "manual__2"},
    {"gates.minimum": {"accuracy": 0.5}},
    {"compute.train_model": {"backend": "local", "cpu": 1}},
    {"alerts.connection": "other"},
    {"trigger.schedule": "@daily"},
    {"data.min_rows": 10},
    {"title": "Other apples"},
    {"params": Params(date=DAY, dry_run=True, reason="try")},
    {"params": Params(date=date(2026, 11, 23))},
]
OTHER: list[dict[str, Any]] = [
    {"training.seed": 8},
    {"training.trusted_types": ["x.Y"]},
    {"data.split.salt": "apples-2"},
    {"data.split.holdout_fraction": 0.3},
    {"data.positive": 0},
    {"data.never_features": ["refund", "returned"]},
    {"params": Params(date=DAY, force_retrain=True, reason="try")},
]


@pytest.mark.parametrize("changes", SAME, ids=str)
def test_what_cannot_change_the_model_keeps_the_version(
    apples_folder: Store, changes: dict[str, Any]
):
    """Gates, compute, alerts, dates and the run itself are recorded, not hashed."""
    deliver(apples_folder)
    assert plan(apples_folder, **changes).version == plan(apples_folder).version


@pytest.mark.parametrize("changes", OTHER, ids=str)
def test_what_can_change_the_model_changes_the_version(
    apples_folder: Store, changes: dict[str, Any]
):
    """Seed, split and training settings, and force, lead to another version."""
    deliver(apples_folder)
    assert plan(apples_folder, "manual__2", **changes).version != plan(apples_folder).version


def test_the_files_names_and_content_make_the_version(apples_folder: Store):
    """The same bytes under the same name are the same version, wherever and whenever delivered."""
    deliver(apples_folder)
    first = plan(apples_folder)
    elsewhere = {"data.location": "landing/again", "trigger.flag": "landing/again/_SUCCESS"}
    data = apples_folder.read(f"{FOLDER}/data.csv")
    apples_folder.write("landing/again/data.csv", data)
    apples_folder.write("landing/again/_SUCCESS", b"")
    assert plan(apples_folder, "manual__2", **elsewhere).version == first.version
    apples_folder.write("landing/again/data.csv", data + b"\n")
    apples_folder.write("landing/again/_SUCCESS", b"")
    assert plan(apples_folder, "manual__3", **elsewhere).version != first.version
    apples_folder.delete("landing/again/data.csv")
    apples_folder.write("landing/again/other.csv", data)
    apples_folder.write("landing/again/_SUCCESS", b"")
    assert plan(apples_folder, "manual__4", **elsewhere).version != first.version


def test_the_models_code_makes_the_version(apples_folder: Store, apples_file: Path):
    """Another estimator is another version."""
    deliver(apples_folder)
    first = plan(apples_folder)
    apples_file.write_text(apples.CODE.replace("random_state=seed", "random_state=seed, C=2"))
    assert plan(apples_folder, "manual__2").version != first.version


def test_forced_runs_are_versions_of_their_own(apples_folder: Store):
    """With force, each run trains, and its retry does not train again."""
    deliver(apples_folder)
    force = Params(date=DAY, force_retrain=True, reason="try")
    versions = [plan(apples_folder, run, params=force).version for run in ("a", "b", "a")]
    assert versions[0] == versions[2] != versions[1]


def test_a_retry_adopts_the_plan(apples_store: Store):
    """Planned twice with nothing changed, a run has one plan, the first."""
    deliver(apples_store)
    first = plan(apples_store)
    assert plan(apples_store) == first
    assert len(apples_store.objects("models/apples/runs")) == 1


def test_a_touched_flag_alone_does_not_make_a_new_plan(apples_folder: Store):
    """What the steps depend on is the data: they are not repeated for a flag."""
    deliver(apples_folder)
    first = plan(apples_folder)
    apples_folder.write(FLAG, b"again")
    assert plan(apples_folder) == first


REPLANNED: list[dict[str, Any]] = [
    {"gates.minimum": {"accuracy": 0.5}},
    {"data.min_rows": 10},
    {"training.seed": 8},
    {"params": Params(date=DAY, dry_run=True)},
]


@pytest.mark.parametrize("changes", REPLANNED, ids=str)
def test_a_cleared_run_is_planned_again_when_its_rules_changed(
    apples_store: Store, changes: dict[str, Any]
):
    """The new plan has a folder of its own, and nothing of the first is edited."""
    deliver(apples_store)
    first = plan(apples_store)
    before = apples_store.read(paths_of(first).manifest)
    second = plan(apples_store, **changes)
    assert second.run == f"{first.run}.2"
    assert apples_store.read(paths_of(first).manifest) == before
    assert read_manifest(apples_store, paths_of(second)) == second
    assert current_plan(apples_store, paths_of(first)) == paths_of(second)
    assert plan(apples_store, **changes) == second
    third = plan(apples_store)
    assert third.run == f"{first.run}.3"
    assert third.version == first.version


def test_a_cleared_run_is_planned_again_when_its_data_or_code_was_mended(
    apples_folder: Store, apples_file: Path
):
    """Data that was refused and code that failed are pinned anew once they were mended."""
    deliver(apples_folder)
    first = plan(apples_folder)
    deliver(apples_folder, apples.harvest(seed=2))
    second = plan(apples_folder)
    apples_file.write_text(apples.CODE + "# mended\n")
    third = plan(apples_folder)
    assert [item.run.removeprefix(first.run) for item in (first, second, third)] == ["", ".2", ".3"]
    assert first.version != second.version
    assert third.version == second.version, "a comment trains nothing again"
    apples_file.write_text(apples.CODE + "MENDED = 1\n")
    assert plan(apples_folder).version != third.version


def test_a_cleared_run_keeps_its_plan_when_only_its_surroundings_changed(apples_folder: Store):
    """More memory, another channel or another title do not repeat what was done."""
    deliver(apples_folder)
    first = plan(apples_folder)
    changes = {
        "compute.train_model": {"backend": "local", "memory": "8GiB"},
        "alerts.connection": "other",
        "title": "Other",
    }
    assert plan(apples_folder, **changes) == first


def test_two_attempts_that_plan_at_once_agree(apples_store: Store, monkeypatch: pytest.MonkeyPatch):
    """Who comes second adopts the plan of the first, though it saw none when it began."""
    deliver(apples_store)
    find = planning.find_manifest
    others: list[RunManifest] = []

    def find_after_another_planned(store: Store, paths: RunPaths) -> RunManifest | None:
        if others:
            return find(store, paths)
        monkeypatch.setattr(planning, "find_manifest", find)
        others.append(plan(apples_store))
        return None

    monkeypatch.setattr(planning, "find_manifest", find_after_another_planned)
    assert plan(apples_store) == others[0]


def test_a_run_that_was_never_planned_is_told(apples_store: Store):
    """Its address is named."""
    with pytest.raises(NotFound, match="runs/nothing: no such run"):
        read_manifest(apples_store, RunPaths("apples", "nothing"))
    paths = RunPaths("apples", "nothing-00000000")
    assert find_manifest(apples_store, paths) is None
    assert current_plan(apples_store, paths) == paths


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run": "another"}, "belongs to apples/another"),
        ({"model": "pears"}, "belongs to pears/"),
        ({"version": "0" * 16}, "does not follow from its fingerprint"),
    ],
)
def test_a_manifest_that_is_not_the_runs_own_is_refused(
    apples_folder: Store, changes: dict[str, str], message: str
):
    """A manifest that was copied or altered is no plan."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    altered = manifest.model_copy(update=changes)
    apples_folder.write(paths_of(manifest).manifest, altered.to_bytes())
    with pytest.raises(EvidenceError, match=message):
        read_manifest(apples_folder, paths_of(manifest))


# Is anything new?

BEFORE, NOW = Serving(version="b" * 16, generation=3), Serving(version="c" * 16, generation=4)


def decide(store: Store, manifest: RunManifest, outcome: Outcome, **changes: Any) -> DecisionRecord:
    """Put the record of an earlier decision on a plan's fingerprint into the store."""
    store.create(version_manifest_key(manifest.model, manifest.version), b"a version")
    values: dict[str, Any] = {
        "model": manifest.model,
        "dag_id": manifest.dag_id,
        "run_id": "earlier",
        "run": "20261123T060000-earlier-00000000",
        "clear": 0,
        "outcome": outcome,
        "reason": "because",
        "decided_at": datetime(2026, 11, 23, 7, tzinfo=UTC),
        "run_after": datetime(2026, 11, 23, 6, tzinfo=UTC),
        "cause": manifest.cause,
        "params": manifest.params,
        "flag": manifest.delivery.flag,
        "delivery": manifest.delivery,
        "code": manifest.code,
        "config_digest": manifest.config_digest,
        "policy_digest": manifest.policy_digest,
        "fingerprint": manifest.fingerprint,
        "version": manifest.version,
        "rows": 200,
        "verdict": None,
        "report": None,
        "previous": BEFORE,
        "serving": NOW,
        "serving_since": None,
    }
    record = DecisionRecord(**{**values, **changes})
    store.write(RunPaths(record.model, record.run).decision(record.clear), record.to_bytes())
    return record


@pytest.fixture
def planned(apples_folder: Store) -> RunManifest:
    """A plan of a model that has a champion."""
    deliver(apples_folder)
    return plan(apples_folder).model_copy(update={"champion": NOW})


@pytest.mark.fault("A09")
@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_a_yes_or_a_no_answers_the_same_question(
    apples_folder: Store, planned: RunManifest, outcome: Outcome
):
    """Same data, code, rules and champion: judged before is not judged again."""
    record = decide(apples_folder, planned, outcome)
    answers = outcome in {
        Outcome.PROMOTED,
        Outcome.REJECTED,
        Outcome.NO_CHANGE,
        Outcome.APPROVAL_REJECTED,
    }
    assert unchanged(apples_folder, planned) == (record if answers else None)


def test_the_first_run_has_no_answer(apples_store: Store):
    """Nothing was decided yet."""
    deliver(apples_store)
    assert unchanged(apples_store, plan(apples_store)) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"fingerprint": "f" * 64},
        {"policy_digest": "f" * 64},
        {"serving": BEFORE},
        {"serving": NOW.model_copy(update={"generation": 6})},
        {"serving": None},
        {"run_id": "manual__1"},
    ],
    ids="-".join,
)
def test_another_question_is_judged(
    apples_folder: Store, planned: RunManifest, changes: dict[str, Any]
):
    """Other data, other rules, another champion, or the very run: a decision does not answer it."""
    decide(apples_folder, planned, Outcome.REJECTED, **changes)
    assert unchanged(apples_folder, planned) is None


@pytest.mark.fault("F11")
def test_a_version_that_serves_needs_no_further_judgement(
    apples_folder: Store, planned: RunManifest
):
    """Whatever the rules are now and whichever run promoted it."""
    serving = Serving(version=planned.version, generation=4)
    manifest = planned.model_copy(update={"champion": serving, "policy_digest": "f" * 64})
    record = decide(apples_folder, planned, Outcome.PROMOTED, run_id=planned.run_id)
    assert unchanged(apples_folder, manifest) == record


def test_a_version_that_serves_without_a_decision_is_judged(
    apples_folder: Store, planned: RunManifest
):
    """A run that was killed between promotion and record is no finished decision."""
    serving = Serving(version=planned.version, generation=4)
    manifest = planned.model_copy(update={"champion": serving})
    decide(apples_folder, planned, Outcome.FAILED)
    assert unchanged(apples_folder, manifest) is None


@pytest.mark.parametrize("outcome", [Outcome.NO_CHANGE, Outcome.CANNOT_JUDGE])
def test_a_version_that_serves_is_not_judged_again(
    apples_folder: Store, planned: RunManifest, outcome: Outcome
):
    """Also when a person let it serve because the champion could not be scored."""
    serving = Serving(version=planned.version, generation=4)
    manifest = planned.model_copy(update={"champion": serving})
    decide(apples_folder, planned, outcome)
    found = unchanged(apples_folder, manifest)
    assert found is not None
    assert found.outcome is outcome


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the core that may be changed, and that is what runs are planned with."""
    copy = tmp_path / "core"
    shutil.copytree(digests.CORE_FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digests, "CORE_FOLDER", copy)
    return copy


def change(file: Path) -> None:
    """Let a file do something else."""
    with file.open("a") as end:
        end.write("CHANGED = 1\n")


@pytest.mark.parametrize(
    ("changed", "trains", "judges"),
    [
        ("notifications/decision_notice.py", False, False),
        ("history/overview.py", False, False),
        ("watch/conditions.py", False, False),
        ("cli/tables.py", False, False),
        ("model_card/render.py", False, False),
        ("steps/validate.py", False, True),
        ("gate/rules.py", False, True),
        ("evaluation/metrics.py", False, True),
        ("training/fitting.py", True, True),
    ],
)
def test_a_change_of_the_core_repeats_what_it_can_change(
    apples_folder: Store, core: Path, changed: str, trains: bool, judges: bool
):
    """A message repeats nothing, a gate judges the same version again, a trainer trains."""
    deliver(apples_folder)
    before = plan(apples_folder)
    record = decide(apples_folder, before, Outcome.REJECTED, serving=None)
    change(core / changed)
    after = plan(apples_folder, "manual__2")
    assert (after.version != before.version) == trains
    assert (unchanged(apples_folder, after) != record) == judges


def test_a_repeated_judgement_says_why(apples_folder: Store, core: Path):
    """What changed since the version was decided on is named: code, rules, champion."""
    deliver(apples_folder)
    first = plan(apples_folder)
    assert why_judged_again(apples_folder, first) is None, "it was never trained"
    apples_folder.create(version_manifest_key(first.model, first.version), b"a version")
    assert why_judged_again(apples_folder, first) is None, "it was never decided on"
    decide(apples_folder, first, Outcome.REJECTED)
    change(core / "gate" / "rules.py")
    second = plan(apples_folder, "manual__2").model_copy(update={"champion": NOW})
    said = why_judged_again(apples_folder, second)
    assert said == (
        f"version {first.version} was trained before, and is judged again: run earlier ended "
        "rejected; the code that judges changed since"
    )
    other = second.model_copy(update={"policy_digest": "f" * 64, "champion": BEFORE})
    said = why_judged_again(apples_folder, other) or ""
    assert said.endswith("; the rules changed since; the champion changed since")


def test_an_answer_says_what_is_the_same(apples_folder: Store, planned: RunManifest):
    """A version that serves is not judged again, so nothing is claimed of rules and judges."""
    earlier = decide(apples_folder, planned, Outcome.REJECTED)
    assert answer_of(earlier, planned) == (
        "data, training code, judging code, rules and champion are those that run earlier decided "
        "on: because"
    )
    serving = Serving(version=planned.version, generation=4)
    assert answer_of(earlier, planned.model_copy(update={"champion": serving})) == (
        f"version {planned.version}, of the same data and the same training code, is the champion "
        "already, since the decision of run earlier: because"
    )


def test_a_cleared_run_is_judged_anew_by_another_gate(apples_folder: Store, core: Path):
    """What an earlier plan left is no evidence for a gate that it was not made for."""
    deliver(apples_folder)
    first = plan(apples_folder)
    change(core / "gate" / "rules.py")
    second = plan(apples_folder)
    assert second.run == f"{first.run}.2"
    assert second.version == first.version


def test_a_decision_of_before_the_digests_answers_nothing(
    apples_folder: Store, planned: RunManifest
):
    """Who judged it is unknown, so it is judged once more."""
    of_before = planned.code.model_copy(update={"judging_digest": None})
    decide(apples_folder, planned, Outcome.REJECTED, code=of_before)
    assert unchanged(apples_folder, planned) is None


def test_without_the_version_no_record_is_read(
    apples_folder: Store, planned: RunManifest, monkeypatch: pytest.MonkeyPatch
):
    """New data costs one look: what was never trained was never judged."""
    decide(apples_folder, planned, Outcome.REJECTED)
    apples_folder.delete(version_manifest_key(planned.model, planned.version))
    monkeypatch.setattr(planning, "decisions", None)
    assert unchanged(apples_folder, planned) is None
