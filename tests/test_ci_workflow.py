"""The GitHub workflow: what it may do, and that its commands are ours and work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FILE = ROOT / ".github" / "workflows" / "ci.yaml"
WORKFLOW: dict[Any, Any] = yaml.safe_load(FILE.read_text())
JOBS: dict[str, dict[str, Any]] = WORKFLOW["jobs"]
STEPS = [(name, step) for name, job in JOBS.items() for step in job["steps"]]
EVENTS = WORKFLOW[True]  # YAML 1.1 reads the word `on` so


def step_of(job: str, word: str) -> dict[str, Any]:
    """The step of a job whose script holds a word."""
    (found,) = [step for step in JOBS[job]["steps"] if word in step.get("run", "")]
    return dict(found)


def scripts() -> Iterator[str]:
    """All that is run."""
    return (step["run"] for _, step in STEPS if "run" in step)


def test_code_of_a_pull_request_may_only_read() -> None:
    """The one job that may write checks nothing out, and no job gets secrets."""
    assert WORKFLOW["permissions"] == {}
    assert set(EVENTS) == {"push", "pull_request"}
    for name, job in JOBS.items():
        if name == "comment":
            assert job["permissions"] == {"pull-requests": "write"}
            assert not any("uses" in step for step in job["steps"])
        else:
            assert job["permissions"] == {"contents": "read"}
    assert "secrets." not in FILE.read_text()


def test_actions_are_pinned() -> None:
    """Each action is named by its whole commit, and the token does not stay in the checkout."""
    used = [step for _, step in STEPS if "uses" in step]
    assert used
    for step in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"])
        assert step["with"]["persist-credentials"] is False


def test_nothing_from_outside_is_put_into_a_shell() -> None:
    """A script gets what GitHub knows as environment variables only."""
    assert all("${{" not in script for script in scripts())


def test_each_make_target_is_there() -> None:
    """What the workflow makes, the Makefile has, and it lints, tests and checks."""
    named = {word for script in scripts() for word in re.findall(r"make ([a-z-]+)", script)}
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text()))
    assert {"lint", "test", "test-slow", "check"} <= named <= targets


def test_each_image_is_there() -> None:
    """What the workflow builds are the stages of the Dockerfile."""
    stages = set(re.findall(r"(?m)^FROM .* AS (\w+)$", (ROOT / "Dockerfile").read_text()))
    assert set(JOBS["images"]["strategy"]["matrix"]["target"]) <= stages


def git(folder: Path, *words: str) -> None:
    """Run git with an identity of the test's own."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=b"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def merged(tmp_path: Path) -> Path:
    """A clone as a pull request is checked out: merged, with a gate and a file that is broken."""
    clone = tmp_path / "clone"
    models = clone / "include" / "models"
    ignored = shutil.ignore_patterns("__pycache__", "local_airflow", "orchestration", "stack")
    shutil.copytree(ROOT / "include", clone / "include", ignore=ignored)
    (clone / ".venv").symlink_to(sys.prefix)
    git(clone, "init", "--quiet")
    git(clone, "add", "include")
    git(clone, "commit", "--quiet", "-m", "base")
    git(clone, "checkout", "--quiet", "-b", "change")
    file = models / "diabetes_progression.yaml"
    config = yaml.safe_load(file.read_text())
    config["gates"]["min_holdout_rows"] = 77
    config["trigger"]["schedule"] = "@weekly"
    file.write_text(yaml.safe_dump(config))
    (models / "pears.yaml").write_text("name: [")
    git(clone, "add", "include")
    git(clone, "commit", "--quiet", "-m", "change")
    git(clone, "checkout", "--quiet", "b")
    git(clone, "merge", "--quiet", "--no-ff", "-m", "merge", "change")
    return clone


def bash(script: str, folder: Path, **environment: str) -> None:
    """Run a step as GitHub does, with its environment and little else."""
    plain = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = ["bash", "--noprofile", "--norc", "-e", "-c", script]
    subprocess.run(command, cwd=folder, env={**plain, **environment}, check=True)


def test_the_comment_says_what_changes(merged: Path, tmp_path: Path) -> None:
    """The step that makes the comment works on a pull request's merge, and hands it on whole."""
    files = {name: tmp_path / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    paths = {name: str(file) for name, file in files.items()}
    script = step_of("models", "config-diff")["run"]
    bash(script, merged, RUNNER_TEMP=str(tmp_path), RETRAINING_STORE="", **paths)
    summary = files["GITHUB_STEP_SUMMARY"].read_text()
    assert "**diabetes\\_progression**: changed" in summary
    assert "| gates | `gates.min_holdout_rows` |" in summary
    assert re.search(r"\| schedule \| `trigger.schedule` \| .* \| `\"@weekly\"` \|", summary)
    assert "no store is known here" in summary
    assert "**pears**: broken" in summary
    assert "loan" not in summary
    first, *lines, last = files["GITHUB_OUTPUT"].read_text().splitlines()
    assert first == f"comment<<{last}"
    assert lines == summary.splitlines()

    command = [sys.executable, "-m", "include.retraining", "config-diff", "--base", "HEAD^1"]
    done = subprocess.run([*command, "--json"], cwd=merged, capture_output=True, check=True)
    states = {item["diff"]["name"]: item["diff"]["state"] for item in json.loads(done.stdout)}
    assert states == {"diabetes_progression": "changed", "pears": "broken"}


@pytest.mark.parametrize(
    ("there", "called"),
    [
        ("", "--method POST repos/o/r/issues/1/comments"),
        ("7\n8\n", "--method PATCH repos/o/r/issues/comments/7"),
    ],
)
def test_there_is_one_comment(there: str, called: str, tmp_path: Path) -> None:
    """The first comment is written, each later one mends it; its text is never a command."""
    gh = tmp_path / "gh"
    gh.write_text(
        '#!/bin/sh\ncase "$*" in\n'
        f"*--paginate*) printf '{there!s}' ;;\n"
        f'*) printf "%s\\n" "$@" > {tmp_path}/called ;;\nesac\n'
    )
    gh.chmod(0o755)
    step = step_of("comment", "gh api")
    assert {"COMMENT", "GH_TOKEN"} <= set(step["env"])
    bash(
        step["run"],
        tmp_path,
        PATH=f"{tmp_path}:{os.environ['PATH']}",
        COMMENT='$(touch owned) "x"\nsecond',
        COMMENTS="repos/o/r/issues/1/comments",
        COMMENT_BY_ID="repos/o/r/issues/comments",
    )
    words = (tmp_path / "called").read_text()
    assert called in " ".join(words.split())
    assert 'body=$(touch owned) "x"\nsecond' in words
    assert not (tmp_path / "owned").exists()
