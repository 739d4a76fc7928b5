"""What a change does to the models: real git revisions, real configuration, real decisions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from include.retraining.cli.config_diff import Change, ModelDiff, compare, read_models
from include.retraining.cli.config_report import (
    MARK,
    MAX_REPORT_LENGTH,
    ModelReport,
    judge_again,
    markdown,
)
from include.retraining.cli.git import model_texts
from include.retraining.config.model import MODELS_FOLDER
from include.retraining.exceptions import ConfigError
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.apples import NAME, YAML
from tests.support.run_factory import CONFIG, MODEL, decide, plant_run

PLANTED = yaml.safe_dump(CONFIG.model_dump(mode="json"))


def git(folder: Path, *words: str) -> str:
    """Run git with an identity of the test's own."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=b"]
    done = subprocess.run(
        ["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models' folder in a git repository, with apples committed."""
    folder = tmp_path / "repository" / "include" / "models"
    folder.mkdir(parents=True)
    (folder / "apples.yaml").write_text(YAML)
    git(tmp_path / "repository", "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "apples")
    return folder


def changed(old: str, new: str) -> dict[str, tuple[str | None, str | None]]:
    """The fields of apples that differ, with what they were and are."""
    assert old in YAML
    (diff,) = compare({NAME: YAML}, {NAME: YAML.replace(old, new)})
    assert diff.state == "changed"
    return {f"{item.part} {item.field}": (item.before, item.after) for item in diff.changes}


def test_each_part_is_named() -> None:
    """Schedule, gates, resources and what trains anew are told apart, with what they were."""
    assert changed("schedule: null", 'schedule: "@daily"') == {
        "schedule trigger.schedule": ("null", '"@daily"')
    }
    assert changed("min_holdout_rows: 10", "min_holdout_rows: 20") == {
        "gates gates.min_holdout_rows": ("10", "20")
    }
    assert changed("training:", "compute: {train_model: {cpu: 2}}\ntraining:") == {
        "resources compute.train_model.cpu": ("null", "2.0")
    }
    assert changed("seed: 7", "seed: 8") == {"training training.seed": ("7", "8")}
    assert changed("salt: apples-1", "salt: other") == {
        "training data.split.salt": ('"apples-1"', '"other"')
    }
    assert changed("owner: orchard", "owner: shop") == {"other owner": ('"orchard"', '"shop"')}
    assert changed("metric: accuracy,", "metric: accuracy, minimum: {accuracy: 0.8},") == {
        "gates gates.minimum.accuracy": (None, "0.8")
    }


def test_a_rule_in_a_list_is_named_by_its_place() -> None:
    """A fairness rule that comes in is shown field by field."""
    fairness = "metric: accuracy, fairness: [{attribute: origin, min_disparate_impact: 0.8}],"
    found = changed("metric: accuracy,", fairness)
    assert found["gates gates.fairness.0.min_disparate_impact"] == (None, "0.8")


def test_defaults_are_no_change() -> None:
    """Writing a default down, or the same in other words, changes nothing."""
    same = YAML.replace("training: {seed: 7}", "training: {seed: 7, entry_point: build_estimator}")
    assert same != YAML
    assert compare({NAME: YAML}, {NAME: same}) == []


def test_new_deleted_and_broken_are_shown_as_such() -> None:
    """A model that comes, goes or cannot be read is no difference of fields."""
    (new,) = compare({}, {NAME: YAML})
    assert (new.state, new.gates) == ("new", None)
    assert any(item.field == "gates.metric" for item in new.changes)
    assert compare({NAME: YAML}, {}) == [ModelDiff(NAME, "deleted")]
    (broken,) = compare({NAME: YAML}, {NAME: YAML + "colour: red\n"})
    assert (broken.state, broken.changes) == ("broken", ())
    assert "colour: is not a field" in (broken.problem or "")
    (renamed,) = compare({}, {"pears": YAML})
    assert "must be 'pears' as the file" in (renamed.problem or "")
    (repaired,) = compare({NAME: "- no"}, {NAME: YAML})
    assert repaired.state == "changed"
    assert "could not be read before" in (repaired.note or "")
    assert repaired.gates is not None


@settings(max_examples=40)
@given(before=st.text() | st.just(YAML), after=st.text() | st.just(YAML))
def test_any_text_is_shown(before: str, after: str) -> None:
    """Whatever the files hold, there is a comment, and only equal models are left out of it."""
    diffs = compare({NAME: before}, {NAME: after})
    text = markdown([ModelReport(diff) for diff in diffs])
    assert text.startswith(MARK)
    assert bool(diffs) == (before != after)


def test_markup_is_not_obeyed() -> None:
    """What a YAML says can make no link, mention, HTML or further cell in the comment."""
    evil = "a|b <script>@all`` [x](http://evil.example)"
    (diff,) = compare({NAME: YAML}, {NAME: YAML.replace("owner: orchard", f"owner: '{evil}'")})
    text = markdown([ModelReport(diff)])
    (row,) = [line for line in text.splitlines() if "`owner`" in line]
    assert row.count("|") == 5
    assert row.count("`") == 6
    (broken,) = compare({}, {NAME: f"{YAML}'{evil}': 1\n"})
    said = markdown([ModelReport(broken)])
    assert "evil.example" in said
    assert "<script>" not in said.replace("\\<script\\>", "")
    assert "](" not in said.replace("\\](", "")


def test_a_long_comment_is_cut() -> None:
    """What a forge would refuse as too long is cut, and says so."""
    changes = tuple(
        Change("gates", f"gates.minimum.m{number}", None, "1") for number in range(5000)
    )
    text = markdown([ModelReport(ModelDiff(NAME, "changed", changes))])
    assert len(text) < MAX_REPORT_LENGTH + 100
    assert text.endswith("`config-diff` itself shows everything.")


def test_the_base_is_a_revision(models: Path) -> None:
    """The YAML before comes from the commit, whatever lies in the work tree."""
    (models / "apples.yaml").write_text(YAML.replace("seed: 7", "seed: 8"))
    (models / "pears.yaml").write_text("broken")
    assert model_texts("HEAD", models) == {NAME: YAML}
    assert [diff.state for diff in compare(model_texts("HEAD", models), read_models(models))] == [
        "changed",
        "broken",
    ]
    git(models, "rm", "--quiet", "--cached", "apples.yaml")
    git(models, "commit", "--quiet", "-m", "none")
    assert model_texts("HEAD", models) == {}
    assert model_texts("HEAD^1", models) == {NAME: YAML}


@pytest.mark.parametrize("revision", ["nothing", "--output=/tmp/x", "", "HEAD; true"])
def test_an_unknown_revision_is_refused(models: Path, revision: str) -> None:
    """A revision that git does not know, or that looks like an option, is one line."""
    with pytest.raises(ConfigError, match="git rev-parse"):
        model_texts(revision, models)


def test_outside_of_a_repository_is_refused(tmp_path: Path) -> None:
    """Without a repository there is no diff, in git's own words."""
    with pytest.raises(ConfigError, match="not a git repository"):
        model_texts("HEAD", tmp_path)


def test_new_gates_judge_the_last_decisions(folder_store: Store, tmp_path: Path) -> None:
    """A stricter gate says which decision would flip, and why; no store is said too."""
    store = initialise(folder_store.uri, {})
    decide(store, plant_run(store, 1))
    decide(store, plant_run(store, 2, report={"fairness.0.disparate_impact": 0.75}))
    stricter = yaml.safe_load(PLANTED)
    stricter["gates"]["minimum"]["accuracy"] = 0.9
    (diff,) = compare({MODEL: PLANTED}, {MODEL: yaml.safe_dump(stricter)})
    text = markdown([judge_again(diff, store.uri, limit=20)])
    assert "Under the new gates 1 of the last 2 decisions would flip." in text
    assert "| pass | fail |" in text
    assert "must be at least 0.90" in text
    text = markdown([judge_again(diff, None, limit=20)])
    assert "were not judged by the new gates: no store is known" in text
    text = markdown([judge_again(diff, f"file://{tmp_path}/nowhere", limit=20)])
    assert "were not judged by the new gates: " in text
    text = markdown([judge_again(diff, initialise(f"file://{tmp_path}/new").uri, limit=20)])
    assert "There is no decision yet" in text


def test_this_repository_has_models_to_compare() -> None:
    """Against nothing, each model of the repository is new: the command sees them."""
    diffs = compare({}, read_models())
    assert {diff.name for diff in diffs} == {path.stem for path in MODELS_FOLDER.glob("*.yaml")}
    assert {diff.state for diff in diffs} == {"new"}
