"""The training image: what is in it, and a run's steps in it, started by hand."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from include.retraining.fingerprint.digests import CORE_FOLDER, JOBS_LOCK, current_code
from include.retraining.gate.verdict import Answer
from include.retraining.registry.versions import read_version, verify_version
from include.retraining.runs.results import read_result
from include.retraining.steps import decide
from include.retraining.store.object_store import Store
from tests.docker.conftest import GIT_SHA
from tests.docker.plans import MODEL, RUN, plan, run_uri
from tests.support import container_engine
from tests.support.aws_in_containers import Aws
from tests.support.container_engine import LOCKED_DOWN, REPOSITORY, docker
from tests.support.extras import locked_with_hashes
from tests.support.repository_copy import copy_repository

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]  # the first one builds the image

COPIED = ("include/__init__.py", "include/extras", "include/models", "include/retraining")
SENT = (
    ".airflowignore",
    "airflow_settings.yaml",
    "dags",
    "deploy/lambda/requirements.txt",
    "include",
    "plugins",
    "requirements.txt",
)
# What the base image brings along.
INSTALLERS = {"pip", "setuptools", "wheel"}


def step(
    aws: Aws, image: str, *words: str, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run one step as a job by hand, with the keys of the store in its environment."""
    environment = [word for item in aws.options.items() for word in ("--env", "=".join(item))]
    return container_engine.run("run", "--rm", *LOCKED_DOWN, *environment, *options, image, *words)


def python(image: str, code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in the image."""
    return container_engine.run(
        "run", "--rm", *LOCKED_DOWN, "--entrypoint", "python", image, "-c", code
    )


def files_of(*names: str) -> list[str]:
    """Return the files of this tree that are or lie below these."""
    found = []
    for name in names:
        path = REPOSITORY / name
        found += [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    relative = [file.relative_to(REPOSITORY) for file in found]
    return sorted(str(file) for file in relative if "__pycache__" not in file.parts)


@pytest.fixture(scope="module")
def described(image: str) -> dict[str, Any]:
    """What the engine says of the image."""
    return dict(json.loads(docker("image", "inspect", image))[0]["Config"])


def test_it_holds_the_code_of_the_jobs_and_no_other_file_of_the_repository(image: str) -> None:
    """The image holds the core and the models, and nothing else of the repository."""
    listed = docker("run", "--rm", "--entrypoint", "find", image, "/opt", "-type", "f")
    root = "/opt/retraining/"
    assert sorted(name.removeprefix(root) for name in listed.split()) == files_of(*COPIED)


def test_the_engine_is_sent_nothing_else_of_the_repository(image: str) -> None:
    """Only what one of the images copies reaches the engine: no layer can hold a secret."""
    name = f"{image}-context"
    docker("build", "--tag", name, "--file", "-", ".", stdin='FROM scratch\nCOPY . /\nCMD ["-"]\n')
    try:
        container = docker("create", name).strip()
        archive = subprocess.run(
            ["docker", "export", container], stdout=subprocess.PIPE, check=True, timeout=60
        )
        names = subprocess.run(
            ["tar", "--list"], input=archive.stdout, stdout=subprocess.PIPE, check=True
        )
    finally:
        container_engine.remove_image(name)
    listed = [name for name in names.stdout.decode().split() if not name.endswith("/")]
    # An engine makes these in every container.
    made = {"dev", "etc", "proc", "sys", ".dockerenv"}
    assert sorted(name for name in listed if name.split("/")[0] not in made) == files_of(*SENT)


def test_an_extra_is_installed_from_its_lock(image: str, tmp_path: Path) -> None:
    """What lies in include/extras/ is in the image, with what it needs of the system."""
    root = copy_repository(tmp_path / "repository")
    for name in ("Dockerfile", ".dockerignore"):
        shutil.copy(REPOSITORY / name, root / name)
    lock = locked_with_hashes("lightgbm", "narwhals", "numpy", "scipy")
    (root / "include" / "extras" / "lightgbm.txt").write_text(lock, encoding="utf-8")
    name = f"{image}-extra"
    docker("build", "--target", "training", "--tag", name, str(root))
    try:
        ended = python(
            name,
            "import lightgbm\n"
            "from include.retraining.config.extras import check_installed\n"
            "check_installed(['lightgbm'])",
        )
    finally:
        container_engine.remove_image(name)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_it_holds_what_the_lock_names_and_no_airflow(image: str) -> None:
    """Every installed package is one of the jobs' lock, in its version; Airflow is not there."""
    code = (
        "import importlib.metadata as metadata, json\n"
        "print(json.dumps({d.name: d.version for d in metadata.distributions()}))"
    )
    installed = json.loads(python(image, code).stdout)
    lines = (CORE_FOLDER / JOBS_LOCK).read_text(encoding="utf-8").splitlines()
    locked = {line.split()[0] for line in lines if line and line[0] not in " #"}
    found = {
        f"{name.lower().replace('_', '-')}=={version}"
        for name, version in installed.items()
        if name not in INSTALLERS
    }
    assert "scikit-learn" in {name.split("==")[0] for name in found}
    assert found <= locked
    assert "No module named 'airflow'" in python(image, "import airflow").stderr


def test_the_image_for_lambda_is_that_with_a_client_and_a_handler(image: str) -> None:
    """It starts AWS's runtime client with our handler, under the same user, and has both."""
    name = f"{image}-lambda"
    docker("build", "--target", "lambda", "--build-arg", f"GIT_SHA={GIT_SHA}", "--tag", name, ".")
    try:
        described = json.loads(docker("image", "inspect", name))[0]["Config"]
        assert described["Entrypoint"] == ["python", "-m", "awslambdaric"]
        assert described["User"] == "10001:10001"
        module, _, function = described["Cmd"][0].rpartition(".")
        ended = python(name, f"import awslambdaric\nfrom {module} import {function}")
        assert ended.returncode == 0, ended.stderr
    finally:
        container_engine.remove_image(name)


def test_it_runs_as_a_user_who_owns_nothing(image: str, described: dict[str, Any]) -> None:
    """A job runs under a fixed number that is not root's, and cannot change the code."""
    assert described["User"] == "10001:10001"
    words = ("run", "--rm", "--entrypoint", "sh", image, "-c", "id -u; touch include/x.py")
    ended = container_engine.run(*words)
    assert ended.stdout == "10001\n"
    assert "Permission denied" in ended.stderr


def test_its_code_has_the_digest_of_this_tree(image: str) -> None:
    """The image and this tree agree on the code's digests: a run planned here runs there."""
    code = (
        "from include.retraining.fingerprint.digests import current_code\n"
        f"print(current_code({MODEL!r}).model_dump_json())"
    )
    ours = current_code(MODEL).model_dump(mode="json") | {"python": "3.12"}
    assert json.loads(python(image, code).stdout) == ours


def test_it_says_which_commit_it_was_built_from(image: str, described: dict[str, Any]) -> None:
    """The commit is a label, for people, and in the environment, for the job."""
    assert described["Labels"]["org.opencontainers.image.revision"] == GIT_SHA
    assert python(image, "import os; print(os.environ['GIT_SHA'])").stdout.strip() == GIT_SHA


def test_a_job_that_is_asked_to_stop_stops_at_once(aws: Aws, image: str) -> None:
    """A platform that ends a job need not wait out its grace period."""
    sleep = ("--entrypoint", "python", image, "-c", "import time; time.sleep(300)")
    container = docker("run", "--detach", *sleep).strip()
    began = time.monotonic()
    docker("stop", "--time", "60", container)
    assert time.monotonic() - began < 30
    docker("rm", container)


def test_the_steps_of_a_run_leave_a_version_that_is_promoted(
    aws: Aws, image: str, store: Store
) -> None:
    """Validate, train, evaluate and card work with a read-only filesystem and no capabilities."""
    manifest = plan(store, image)
    for name in ("validate", "train", "evaluate"):
        ended = step(aws, image, name, "--run", run_uri(store), "--attempt", "by-hand")
        assert ended.returncode == 0, ended.stderr
        read_result(store, RUN.paths, manifest, name)
    version = read_version(store, MODEL, manifest.version)
    verify_version(store, version)
    assert decide.check_quality(store, RUN).answer is Answer.PASS
    ended = step(aws, image, "card", "--run", run_uri(store))
    assert ended.returncode == 0, ended.stderr
    assert decide.deploy(store, RUN, actor="a test").version == manifest.version


def test_a_job_with_other_code_than_the_plan_refuses(
    aws: Aws, image: str, store: Store, tmp_path: Path
) -> None:
    """A job in an image of other code says which file differs, and exits with 1."""
    plan(store, image)
    file = f"include/models/{MODEL}.py"
    changed = tmp_path / "changed.py"
    changed.write_text(f"{(REPOSITORY / file).read_text(encoding='utf-8')}\n# another\n")
    ended = step(
        aws,
        image,
        "train",
        "--run",
        run_uri(store),
        options=("--volume", f"{changed}:/opt/retraining/{file}:ro"),
    )
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert f"{file} changed since the run was planned" in ended.stderr
