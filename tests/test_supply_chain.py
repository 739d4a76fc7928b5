"""What is installed is what was locked: by version, by hash, and never built from source."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from packaging.version import Version

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.txt", "requirements-dev.txt", "include/retraining/requirements.txt")
# Below these are known holes: CVE-2026-25917, CVE-2026-33858 and CVE-2026-41084 in Airflow, types
# that load without being asked about in skops.
FLOORS = {"apache-airflow": "3.2.2", "apache-airflow-core": "3.2.2", "skops": "0.12"}
# As the Makefile and the Dockerfile say them.
OPTIONS = ["--require-hashes", "--only-binary", ":all:"]


def below_the_floor(lock: str) -> list[str]:
    """Return the pins of a lock that are older than they may be."""
    pins = re.findall(r"(?m)^([a-z0-9-]+)(?:\[[^]]*\])?==([^\s;\\]+)", lock)
    return [
        f"{name}=={version}, at least {FLOORS[name]} is needed"
        for name, version in pins
        if name in FLOORS and Version(version) < Version(FLOORS[name])
    ]


@pytest.mark.fault("O03")
@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_is_below_the_floor(lock: str) -> None:
    """And each lock names what there is a floor for: Airflow, or at least skops."""
    text = (ROOT / lock).read_text()
    assert below_the_floor(text) == []
    assert "\nskops==" in text
    assert ("\napache-airflow==" in text) == (lock != LOCKS[-1])


@pytest.mark.fault("O03")
@pytest.mark.parametrize("pin", ["apache-airflow==3.2.1 \\", "apache-airflow-core==3.1.8 \\"])
def test_an_older_airflow_is_found(pin: str) -> None:
    """A lock with an Airflow below the floor is named, with what is needed."""
    (found,) = below_the_floor(f"a==1\n{pin}\n    --hash=sha256:0\nskops==0.12.0\n")
    assert found.endswith("at least 3.2.2 is needed")


def wheel() -> bytes:
    """Build a wheel of one empty module."""
    content = io.BytesIO()
    about = "locked-1.0.dist-info"
    files = {
        "locked.py": b"",
        f"{about}/METADATA": b"Metadata-Version: 2.1\nName: locked\nVersion: 1.0\n",
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {
        name: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        for name, data in files.items()
    }
    record = [f"{name},sha256={digests[name]},{len(data)}" for name, data in files.items()]
    files[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def source_archive() -> bytes:
    """Build a source archive whose installation would run its code."""
    content = io.BytesIO()
    files = {
        "PKG-INFO": b"Metadata-Version: 2.1\nName: locked\nVersion: 1.0\n",
        "setup.py": b"from setuptools import setup\nsetup(name='locked', version='1.0')\n",
    }
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"locked-1.0/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return content.getvalue()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and says nothing."""

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A package index on loopback, and the folder of its one project."""
    folder = tmp_path / "simple" / "locked"
    folder.mkdir(parents=True)
    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple/", folder
        server.shutdown()


def offer(folder: Path, name: str, content: bytes) -> str:
    """Put a file on the index, and return its SHA-256."""
    (folder / name).write_bytes(content)
    links = [f'<a href="{path.name}">{path.name}</a>' for path in folder.iterdir()]
    (folder / "index.html").write_text("<!DOCTYPE html>\n" + "\n".join(links))
    return hashlib.sha256(content).hexdigest()


def uv() -> str:
    """Return the installer of the Makefile."""
    return shutil.which("uv") or str(ROOT / ".local/uv/bin/uv")


INSTALLERS = {
    "Makefile": [uv(), "pip", "install", "--no-config", "--no-cache", "--python", sys.executable],
    "Dockerfile": [
        str(Path(sys.base_prefix, "bin", "python3")),
        *("-m", "pip", "--isolated", "install", "--no-cache-dir", "--disable-pip-version-check"),
    ],
}


def install(installer: str, index: str, sha256: str, target: Path) -> str | None:
    """Install the lock of one package; return the error, or None if all went well."""
    lock = target.with_suffix(".txt")
    lock.write_text(f"locked==1.0 \\\n    --hash=sha256:{sha256}\n")
    command = [*INSTALLERS[installer], *OPTIONS, "--index-url", index, "--target", str(target)]
    done = subprocess.run(
        [*command, "-r", str(lock)], capture_output=True, text=True, check=False, timeout=120
    )
    return None if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.fault("O01")
@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_lock_with_one_changed_hash_is_not_installed(
    installer: str, index: tuple[str, Path], tmp_path: Path
) -> None:
    """With the right hash the same wheel is installed, so the hash is what was refused."""
    address, folder = index
    right = offer(folder, "locked-1.0-py3-none-any.whl", wheel())
    wrong = ("1" if right[0] == "0" else "0") + right[1:]
    error = install(installer, address, wrong, tmp_path / "wrong")
    assert error is not None
    assert "hash" in error.lower()
    assert not (tmp_path / "wrong" / "locked.py").exists()
    assert install(installer, address, right, tmp_path / "right") is None
    assert (tmp_path / "right" / "locked.py").exists()


@pytest.mark.fault("O01")
@pytest.mark.parametrize("installer", INSTALLERS)
def test_a_source_archive_is_not_built(
    installer: str, index: tuple[str, Path], tmp_path: Path
) -> None:
    """Though its hash is right: its code would run while it is installed."""
    address, folder = index
    right = offer(folder, "locked-1.0.tar.gz", source_archive())
    error = install(installer, address, right, tmp_path / "target")
    assert error is not None
    assert "locked" in error
    assert not list(tmp_path.glob("target/locked*"))


@pytest.mark.fault("O01")
@pytest.mark.parametrize("file", INSTALLERS)
def test_every_lock_is_installed_that_way(file: str) -> None:
    """What installs a lock says both options, or takes them from the Makefile's variable."""
    text = (ROOT / file).read_text().replace("\\\n", " ")
    installs = [line for line in text.splitlines() if re.search(r"pip install\b.* -r ", line)]
    assert installs
    said = " ".join(OPTIONS)
    assert all(said in " ".join(line.split()) or "$(INSTALL_OPTIONS)" in line for line in installs)
    assert f"INSTALL_OPTIONS := {said}" in text or file != "Makefile"
