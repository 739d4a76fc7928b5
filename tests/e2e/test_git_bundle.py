"""DAGs and `include` come from one commit of a git repository: a push reaches the next run alone.

The whole repository is the bundle, as in production; `origin.git` stands in for the server. What
lies in the image is an older copy of the code, which must never be what runs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from include.retraining.decisions.record import DecisionRecord
from tests.support.airflow_harness import Stage
from tests.support.repository_copy import add_model, copy_repository
from tests.support.scenes import PROMOTED, check_task_states, patients, waiting_for

pytestmark = [pytest.mark.airflow, pytest.mark.slow]

# An executor that can be told from the first one by what it leaves behind.
SECOND_EXECUTOR = """
from pathlib import Path
from airflow.executors.local_executor import LocalExecutor

class SecondExecutor(LocalExecutor):
    def queue_workload(self, workload, session):
        with Path({file!r}).open("a") as file:
            print(workload.ti.dag_id, workload.ti.task_id, file=file)
        super().queue_workload(workload, session)
"""


@dataclass(frozen=True)
class Origin:
    """A repository on a server, and the clone of someone who pushes to it."""

    url: Path
    clone: Path

    def push(self, message: str) -> str:
        """Commit all that changed in the clone, push it, and return the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        self.git("push", "--quiet", "origin", "main")
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        """Run git in the clone and return what it said."""
        someone = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
        return subprocess.check_output(["git", *someone, *arguments], cwd=self.clone, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for everything."""
    return tmp_path_factory.mktemp("git")


@pytest.fixture(scope="module")
def origin(folder: Path) -> Origin:
    """A repository with one commit and two models beside those that ship."""
    made = Origin(folder / "origin.git", copy_repository(folder / "clone"))
    add_model(made.clone, "long", code=waiting_for(folder / "go"))
    add_model(made.clone, "quick", values={"compute": {"train_model": {"executor": "second"}}})
    made.git("init", "--quiet", "--initial-branch", "main")
    made.git("init", "--quiet", "--bare", "--initial-branch", "main", str(made.url))
    made.git("remote", "add", "origin", str(made.url))
    made.push("Two models")
    return made


@pytest.fixture(scope="module")
def repository(folder: Path) -> Path:
    """What the image holds: the plugins, and DAGs and `include` from before."""
    image = copy_repository(folder / "image")
    with (image / "include" / "retraining" / "gate" / "verdict.py").open("a") as file:
        file.write("# Of another time.\n")
    return image


@pytest.fixture(scope="module")
def elsewhere(folder: Path) -> Iterator[Path]:
    """A folder that Python searches before the bundle."""
    found = folder / "elsewhere"
    found.mkdir()
    code = SECOND_EXECUTOR.format(file=str(folder / "second"))
    (found / "second_executor.py").write_text(code)
    (folder / "second").touch()
    return found


@pytest.fixture(scope="module")
def environment(folder: Path, origin: Origin, elsewhere: Path) -> dict[str, str]:
    """The bundle of the whole repository, and two executors."""
    bundle = {
        "name": "retraining",
        "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
        "kwargs": {"repo_url": str(origin.url), "tracking_ref": "main", "refresh_interval": 1},
    }
    return {
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([bundle]),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(folder / "bundles"),
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3",  # a push changes no DAG file
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor,second:second_executor.SecondExecutor",
        "PYTHONPATH": str(elsewhere),
    }


def commit_of(record: DecisionRecord) -> str | None:
    """The commit that a record names."""
    assert record.code is not None
    return record.code.git_sha


def test_a_push_reaches_the_next_run_and_none_in_flight(
    airflow: Stage, origin: Origin, folder: Path
) -> None:
    """A run ends on the commit that it began on, each record names its own, nothing restarts."""
    first = origin.git("rev-parse", "HEAD").strip()
    airflow.land("long", patients())
    in_flight = airflow.start_run("long")
    airflow.wait_for_task("long", in_flight, "train_model", "running", timeout_seconds=300)

    with (origin.clone / "include" / "retraining" / "gate" / "verdict.py").open("a") as file:
        file.write("# A change to the code that judges.\n")
    second = origin.push("Change the core while a run is in flight")
    airflow.wait_for(
        lambda: (airflow.api.dag("retrain_quick") or {}).get("bundle_version") == second,
        f"DAG of the commit {second}",
    )
    airflow.land("quick", patients())
    ended, new = airflow.run("quick")
    check_task_states(ended, PROMOTED)
    assert commit_of(new) == second

    (folder / "go").touch()
    ended = airflow.wait_for_end("long", in_flight)
    check_task_states(ended, PROMOTED)
    old = airflow.record("long", in_flight)
    assert commit_of(old) == first
    assert airflow.api.run("retrain_long", in_flight)["bundle_version"] == first
    assert old.code is not None
    assert new.code is not None
    assert old.code.core_digest != new.code.core_digest
    airflow.check_invariants("long", old)
    airflow.check_invariants("quick", new)


def test_a_model_names_the_executor_and_the_queue_of_its_heavy_steps(
    airflow: Stage, folder: Path
) -> None:
    """What trained ran on the second executor, everything else on the first."""
    run_id = airflow.api.runs("retrain_quick")[0]["dag_run_id"]
    tasks = airflow.api.tasks("retrain_quick", run_id)
    assert (tasks["train_model"]["queue"], tasks["train_model"]["executor"]) == (
        "training",
        "second",
    )
    assert (tasks["plan_run"]["queue"], tasks["plan_run"]["executor"]) == ("default", None)
    assert (folder / "second").read_text() == "retrain_quick train_model\n"


def test_a_stale_include_that_is_found_first_is_told_and_stops_the_run(
    airflow: Stage, repository: Path, elsewhere: Path
) -> None:
    """Where the image's old copy only lay about, it did no harm; on PYTHONPATH it ends the run."""
    shutil.copytree(repository / "include", elsewhere / "include")
    airflow.land("diabetes_progression")
    run_id = airflow.start_run("diabetes_progression")
    ended = airflow.wait_for_end("diabetes_progression", run_id)
    assert (ended.state, ended.tasks["wait_for_data"]) == ("failed", "failed")
    said = f"`include` was imported from {elsewhere}, this task's bundle is "
    assert said in airflow.log("diabetes_progression", run_id, "wait_for_data")
    record = airflow.record("diabetes_progression", run_id)
    assert said in record.reason
    airflow.check_told_once(record, said)
