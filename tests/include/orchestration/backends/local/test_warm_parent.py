"""Tests of when a warm parent ends, and of what makes it another one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.orchestration.backends.local import warm_parent
from include.orchestration.backends.local.warm_identity import deployed, identity
from include.orchestration.backends.local.warm_parent import WarmParent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm parents are for Linux")


@contextmanager
def parent(folder: Path, *, code: str | None = None) -> Iterator[WarmParent]:
    """Give a parent that looks at once and serves a socket in a folder."""
    address = folder / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        descriptor = os.open(folder, os.O_PATH)
        listener.bind(f"/proc/self/fd/{descriptor}/s")
        os.close(descriptor)
        listener.listen()
        code = code or deployed(warm_parent.ROOT)
        yield WarmParent(listener, str(address), code, [])


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a tick."""
    monkeypatch.setattr(warm_parent, "TICK_SECONDS", 0.01)


def test_a_parent_ends_when_it_is_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the seconds that it is given; before that it waits."""
    monkeypatch.setattr(warm_parent, "IDLE_SECONDS", 0.05)
    with parent(tmp_path) as warm:
        assert warm.is_wanted()
        assert warm.serve() is None
        assert not warm.is_wanted()


def test_a_parent_of_other_code_ends(tmp_path: Path) -> None:
    """What is deployed is no longer what it was started for."""
    with parent(tmp_path, code="other") as warm:
        assert warm.serve() is None


def test_a_parent_whose_socket_is_gone_ends(tmp_path: Path) -> None:
    """Nobody could reach it; something that cleans /tmp may have removed it."""
    with parent(tmp_path) as warm:
        assert warm.is_wanted()
        (tmp_path / "s").unlink()
        assert warm.serve() is None


def test_a_parent_does_not_end_the_socket_of_its_successor(tmp_path: Path) -> None:
    """Another one has been started at the same path since."""
    with parent(tmp_path) as warm:
        (tmp_path / "s").unlink()
        (tmp_path / "s").touch()
        assert not warm.is_wanted()
        warm.remove_socket()
        assert (tmp_path / "s").exists()


def test_the_code_is_its_files_and_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is added or replaced is other code, and so is a package; bytecode is not."""
    core, packages = tmp_path / "include/retraining", tmp_path / "packages"
    (core / "__pycache__").mkdir(parents=True)
    packages.mkdir()
    monkeypatch.setattr(
        "include.orchestration.backends.local.warm_identity.sysconfig.get_path",
        lambda _name: str(packages),
    )
    seen = [deployed(tmp_path)]
    (core / "__pycache__/x.pyc").touch()
    assert deployed(tmp_path) == seen[0]
    for change in (
        (core / "x.py").touch,
        lambda: (core / "x.py").write_text("x"),
        lambda: os.utime(core / "x.py", (1, 1)),
        lambda: (core / "y").write_text("x") and os.utime(core / "y", (1, 1)),
        lambda: (core / "y").replace(core / "x.py"),
        (packages / "new.dist-info").mkdir,
    ):
        change()
        seen.append(deployed(tmp_path))
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    "change",
    ["ulimit -n 64;", "umask 0123;", "renice -n 19 $$ >/dev/null;", "taskset -cp 0 $$ >/dev/null;"],
)
def test_a_task_that_differs_has_another_parent(change: str) -> None:
    """What a job would inherit from its task, it must inherit from the parent."""
    program = (
        "from include.orchestration.backends.local.warm_identity import identity\n"
        "from include.orchestration.backends.local.warm_parent import ROOT\n"
        "print(identity(ROOT, {}))"
    )
    command = f'{change} exec "{sys.executable}" -c "$0"'
    there = subprocess.run(
        ["bash", "-c", command, program],
        capture_output=True,
        text=True,
        check=True,
        cwd=warm_parent.ROOT,
    ).stdout.split()
    here = identity(warm_parent.ROOT, {})
    assert len(there) == 1
    assert there != [here]


def test_the_environment_is_part_of_what_a_parent_is() -> None:
    """Python reads it at its start, and libraries when they are loaded."""
    root = warm_parent.ROOT
    assert identity(root, {"TZ": "UTC"}) == identity(root, {"TZ": "UTC"})
    assert identity(root, {"TZ": "UTC"}) != identity(root, {"TZ": "Europe/Paris"})
