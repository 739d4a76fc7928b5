"""The image that every service of Airflow runs in."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from packaging.requirements import Requirement

from include.retraining.fingerprint.digests import current_code
from tests.compose.conftest import LIKE
from tests.compose.stack import Stack
from tests.support import container_engine
from tests.support.container_engine import REPOSITORY

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]  # the first one builds and starts

INSTALLED = """
import importlib.metadata as metadata, json
print(json.dumps({d.name: d.version for d in metadata.distributions()}))
"""
CODE = f"""
import sys; sys.path.insert(0, "/opt/retraining")
from include.retraining.fingerprint.digests import current_code
print(current_code({LIKE!r}).model_dump_json())
"""
PYTHON = {"python_version": "3.12", "python_full_version": "3.12.0", "sys_platform": "linux"}


def described(stack: Stack) -> dict[str, Any]:
    """Return what the engine says of the image."""
    (found,) = json.loads(
        container_engine.docker("image", "inspect", stack.environment["AIRFLOW_IMAGE"])
    )
    return dict(found["Config"])


def same(name: str) -> str:
    """Return a package's name as every index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_it_holds_what_the_lock_names(stack: Stack) -> None:
    """Whatever the base brought, each package of the lock is there in the version of the lock."""
    lines = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8").splitlines()
    locked = [Requirement(line.rstrip(" \\")) for line in lines if line and line[0] not in " #"]
    wanted = {
        same(one.name): f"{one.specifier}".removeprefix("==")
        for one in locked
        if one.marker is None or one.marker.evaluate(PYTHON)
    }
    found = json.loads(stack.execute("scheduler", "python", "-c", INSTALLED))
    installed = {same(name): version for name, version in found.items()}
    assert "apache-airflow" in wanted
    assert wanted == {name: installed.get(name) for name in wanted}


def test_what_it_holds_fits_together(stack: Stack) -> None:
    """No package that only the base brings needs another version than the lock's."""
    assert "No broken requirements" in stack.execute("scheduler", "python", "-m", "pip", "check")


def test_its_user_owns_no_code(stack: Stack) -> None:
    """It runs as Airflow's user, who cannot change what runs, and says which commit it is."""
    assert described(stack)["User"] not in {"", "0", "root"}
    folder = "/opt/retraining/dags"
    ended = container_engine.run("exec", stack.container("scheduler"), "touch", f"{folder}/x.py")
    assert "Permission denied" in ended.stderr
    labels = described(stack)["Labels"]
    assert "org.opencontainers.image.revision" in labels


def test_its_code_has_the_digest_of_this_tree(stack: Stack) -> None:
    """A run that is planned there has the fingerprint that it would have here."""
    said = json.loads(stack.execute("scheduler", "python", "-c", CODE))
    assert said == current_code(LIKE).model_dump(mode="json") | {"python": "3.12"}


def test_a_training_image_of_the_same_tree_has_the_same_code(stack: Stack) -> None:
    """Both targets are built from what the stack was: its jobs run the code that was planned."""
    image = f"{stack.environment['AIRFLOW_IMAGE']}-training"
    container_engine.docker("build", "--target", "training", "--tag", image, str(stack.root))
    try:
        said = container_engine.docker("run", "--rm", "--entrypoint", "python", image, "-c", CODE)
        assert json.loads(said) == json.loads(stack.execute("scheduler", "python", "-c", CODE))
    finally:
        container_engine.remove_image(image)
