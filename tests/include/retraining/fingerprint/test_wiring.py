"""The code around the training is pinned, and compared before a promotion."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from include.retraining.fingerprint import wiring
from include.retraining.runs.manifest import read_manifest
from include.retraining.steps import plan as planning
from include.retraining.steps.plan import changed_since
from include.retraining.store.object_store import Store
from tests.support.apples import deliver, paths_of, plan

pytest_plugins = ("tests.support.apples_fixtures",)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folders that wire, in place of ours."""
    for folder in wiring.FOLDERS:
        shutil.copytree(wiring.ROOT / folder, tmp_path / "tree" / folder)
    monkeypatch.setattr(wiring, "ROOT", tmp_path / "tree")
    return tmp_path / "tree"


@pytest.mark.fault("I07")
@pytest.mark.parametrize(
    "name", ["dags/retrain_pipeline.py", "include/orchestration/callbacks/run_ended.py"]
)
def test_wiring_that_changed_since_the_plan_promotes_nothing(
    apples_folder: Store, tree: Path, name: str
) -> None:
    """A DAG file or an operator that changed under a run is said by name of its folder (I07)."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    assert read_manifest(apples_folder, paths_of(manifest)).code.wiring_digest is not None
    before = changed_since(manifest)
    assert before is None or "dags/" not in before
    (tree / name).write_text("# other")
    assert "dags/ or include/orchestration/ changed" in str(changed_since(manifest))


def test_wiring_makes_another_plan_and_not_another_version(
    apples_folder: Store, tree: Path
) -> None:
    """A cleared run is planned again with the wiring of now, and trains nothing again."""
    deliver(apples_folder)
    first = plan(apples_folder)
    (tree / "dags" / "retrain_pipeline.py").write_text("# other")
    second = plan(apples_folder)
    assert second.run != first.run
    assert (second.fingerprint, second.version) == (first.fingerprint, first.version)


def test_a_plan_of_before_is_not_compared(apples_folder: Store, tree: Path) -> None:
    """What was planned before the wiring was recorded promotes as it did."""
    deliver(apples_folder)
    manifest = plan(apples_folder)
    code = manifest.code.model_copy(update={"wiring_digest": None})
    planning.check_same_wiring(code)


def test_an_image_without_wiring_has_no_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A training image carries neither folder."""
    monkeypatch.setattr(wiring, "ROOT", tmp_path)
    assert wiring.wiring_digest() is None
