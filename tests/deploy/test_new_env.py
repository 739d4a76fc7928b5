"""`make env` makes secrets once, for their owner alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

from cryptography.fernet import Fernet

SCRIPT = Path(__file__).resolve().parents[2] / "deploy" / "compose" / "new_env.sh"


def new_env(file: Path) -> subprocess.CompletedProcess[str]:
    """Make a file of secrets."""
    command = ["sh", str(SCRIPT), str(file), "8090"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def values(file: Path) -> dict[str, str]:
    """Return what a file holds, by name."""
    lines = file.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_secrets_are_new_and_readable_by_their_owner_alone(tmp_path: Path) -> None:
    """Two files share no secret; the keys are what Airflow takes, the port is the one given."""
    first, second = tmp_path / "first", tmp_path / "second"
    for file in (first, second):
        assert new_env(file).returncode == 0
        assert file.stat().st_mode & 0o777 == 0o600
    one, other = values(first), values(second)
    same = {name for name in one if one[name] == other[name]}
    assert not {name for name in same if name.endswith(("PASSWORD", "SECRET", "KEY"))}
    Fernet(one["FERNET_KEY"])
    assert len(one["JWT_SECRET"]) == 128  # HS512 wants 64 bytes
    assert (one["PUBLIC_URL"], one["AIRFLOW_PORT"]) == ("http://127.0.0.1:8090", "8090")


def test_a_file_that_is_there_is_not_touched(tmp_path: Path) -> None:
    """What was encrypted with its key could not be read any more; nothing is left beside it."""
    file = tmp_path / ".env"
    file.write_text("FERNET_KEY=mine\n")
    ended = new_env(file)
    assert ended.returncode == 1
    assert "stays as it is" in ended.stderr
    assert file.read_text() == "FERNET_KEY=mine\n"
    assert list(tmp_path.iterdir()) == [file]
