"""`make run` shows one promotion and one reasoned refusal, and ends without leaving a process."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from include.local_airflow.demo.samples import SAMPLES
from include.local_airflow.ports import free_port
from include.retraining.decisions.record import DecisionRecord
from include.retraining.decisions.records import decisions
from include.retraining.store.object_store import Store
from tests.support.airflow_harness import is_alive
from tests.support.repository_copy import REPOSITORY, copy_repository

pytestmark = [pytest.mark.airflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository, as fresh as a clone, in a git of its own."""
    copy = copy_repository(tmp_path_factory.mktemp("clone"))
    shutil.copy(REPOSITORY / ".gitignore", copy)  # else bytecode beside the code makes it dirty
    git(copy, "init", "--quiet")
    git(copy, "add", ".")
    git(copy, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", "All")
    return copy


def git(folder: Path, *words: str) -> str:
    """Run git in a folder and return what it printed."""
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout.strip()


def start(root: Path, *options: str) -> subprocess.Popen[str]:
    """Start what `make run` starts."""
    command = [sys.executable, "-m", "include.local_airflow", "--port", str(free_port()), *options]
    environment = {name: value for name, value in os.environ.items() if "RETRAINING" not in name}
    return subprocess.Popen(
        command,
        cwd=root,
        env=environment | {"COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_first_run_promotes_and_refuses_until_ctrl_c(root: Path) -> None:
    """The first run promotes one model, refuses the other for fairness, and stays until Ctrl-C."""
    program = start(root)
    assert program.stdout is not None
    with program.stdout:
        shown = ""
        for line in program.stdout:
            shown += line
            if line.startswith("Airflow stays up"):
                break
        family = psutil.Process(program.pid).children(recursive=True)
        program.send_signal(signal.SIGINT)
        shown += program.stdout.read()
    assert program.wait(timeout=60) == 0, shown
    assert "diabetes_progression: promoted" in shown
    assert "loan_approval: rejected" in shown
    assert "fairness race" in shown
    assert "score_diabetes_progression: scored" in shown
    assert "scored all (148 rows) by version" in shown
    assert shown.count("Slack") == 2
    assert "password" in shown
    assert "Airflow is up after" in shown
    check_addresses(root, shown)
    assert len(family) > 15
    assert [process for process in family if is_alive(process)] == []
    check_what_the_readme_says(shown)
    store = Store((root / ".local" / "store").as_uri())
    (record,) = decisions(store, "loan_approval")
    assert record.code is not None
    assert record.code.git_sha == git(root, "rev-parse", "HEAD")
    check_lineage(root, store, record)


def check_addresses(root: Path, shown: str) -> None:
    """Each model's page, its run and its card are addresses on a line of their own."""
    store = Store((root / ".local" / "store").as_uri())
    for model in ("diabetes_progression", "loan_approval"):
        (record,) = decisions(store, model)
        own = f"/retraining/models/{model}/runs/{record.run}#card"
        run = f"/dags/retrain_{model}/runs/{record.run_id}"
        for address in (f"/dags/retrain_{model}/plugin/model", run, own):
            line = rf"^  \w+ +http://127\.0\.0\.1:\d+{re.escape(address)} *$"
            assert re.search(line, shown, re.M), address


def check_lineage(root: Path, store: Store, refused: DecisionRecord) -> None:
    """OpenLineage's events name each run, its delivery and its version; promoted ones go on."""
    lines = (root / ".local" / "lineage.jsonl").read_text().splitlines()
    ended = {
        (event["job"]["name"], event["run"]["facets"]["airflow"]["dagRun"]["run_id"]): event
        for event in map(json.loads, lines)
        if event["eventType"] == "COMPLETE" and "." in event["job"]["name"]
    }
    (promoted,) = decisions(store, "diabetes_progression")
    versions = {}
    for record in (refused, promoted):
        event = ended[f"{record.dag_id}.check_quality", record.run_id]
        assert record.delivery is not None
        assert data_sets(event["inputs"]) == [record.delivery.location]
        (versions[record.model],) = data_sets(event["outputs"])
        assert versions[record.model].endswith(f"/versions/{record.version}")
    event = ended[f"{promoted.dag_id}.deploy_model", promoted.run_id]
    assert data_sets(event["inputs"]) == [versions[promoted.model]]
    assert data_sets(event["outputs"]) == [f"{store.uri}/models/{promoted.model}/promotions"]


def data_sets(named: list[dict[str, str]]) -> list[str]:
    """Return the addresses of an event's data sets, all of which are local files."""
    assert {item["namespace"] for item in named} == {"file"}
    return [Path(item["name"]).as_uri() for item in named]


def check_what_the_readme_says(shown: str) -> None:
    """The numbers that the README opens with are those of this run."""
    readme = (REPOSITORY / "README.md").read_text()
    for number in ("0.7368", "0.9051", "0.8719", "0.8848", "0.7836", "0.9849", "0.4553"):
        assert number in readme
        assert number in shown


def test_second_start_shows_what_was_decided_and_starts_nothing(root: Path) -> None:
    """The samples lie as the first start landed them, to the very flag; `--once` exits with 0."""
    store = Store((root / ".local" / "store").as_uri())
    before = store.objects("landing"), {model: list(decisions(store, model)) for model in SAMPLES}
    program = start(root, "--once")
    shown, _ = program.communicate(timeout=300)
    assert program.returncode == 0, shown
    assert "diabetes_progression: promoted" in shown
    assert "loan_approval: rejected" in shown
    assert shown.count("nothing is started") == 2
    after = store.objects("landing"), {model: list(decisions(store, model)) for model in SAMPLES}
    assert after == before
