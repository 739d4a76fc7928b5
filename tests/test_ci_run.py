"""`.ci/run` runs every step of CI, and its last line names the one that failed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FIRST = ["--jobs=2 --output-sync lint coverage", "test"]
SLOW = "test-slow"
BESIDE = ["test-batch", "test-ui"]
LAST = "test-compose"
MAKE = """#!/bin/sh
echo "$*" >> made
if [ "$*" = "$BROKEN" ]; then echo "this is why"; exit 2; fi
"""


def run(folder: Path, broken: str = "", build: str = "true") -> tuple[int, list[str], list[str]]:
    """Run it with a `make` that fails at one target; return code, output and what was made."""
    checkout = folder / "checkout"
    shutil.copytree(ROOT / ".ci", checkout / ".ci")
    (folder / "shared" / "standins").mkdir(parents=True)
    (folder / "shared" / "standins" / "build").write_text(build)
    programs = folder / "bin"
    programs.mkdir()
    for name, text in {"make": MAKE, "apt-get": "#!/bin/sh\n", "Rscript": "#!/bin/sh\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    ended = subprocess.run(
        [checkout / ".ci" / "run"],
        env={"PATH": f"{programs}:/usr/bin:/bin", "BROKEN": broken},
        capture_output=True,
        text=True,
        check=False,
    )
    made = (checkout / "made").read_text().splitlines()
    return ended.returncode, ended.stdout.splitlines(), made


def test_every_step_is_run_and_timed(tmp_path: Path) -> None:
    """Where all pass, each step is run once, and the end says how long each one took."""
    code, shown, made = run(tmp_path)
    assert code == 0
    assert made[:2] == FIRST
    assert sorted(made[2:5]) == sorted([SLOW, *BESIDE])
    assert made[5:] == [LAST]
    assert [name for name in made if name in BESIDE] == BESIDE
    assert shown[-1].startswith("ci: all passed in ")
    timed = [line.split(" s  ")[1] for line in shown if " s  " in line]
    assert sorted(line for line in timed if line.startswith("make ")) == sorted(
        f"make {name}" for name in made
    )


@pytest.mark.parametrize("broken", [FIRST[0], SLOW, *BESIDE])
def test_the_last_line_names_what_failed(tmp_path: Path, broken: str) -> None:
    """The first step that fails is the last one; what runs beside another one is named too."""
    code, shown, made = run(tmp_path, broken=broken)
    assert code == 2
    assert LAST not in made
    assert broken in made
    if broken == FIRST[0]:
        assert made == [broken]
    if broken == BESIDE[0]:
        assert BESIDE[1] not in made
    assert shown[-1].startswith(f"ci: FAILED in `make {broken}` (exit code 2) after ")
    assert "this is why" in shown[-20:]


def test_images_that_cannot_be_made_are_named(tmp_path: Path) -> None:
    """What is prepared beside another step ends all with what it said."""
    code, shown, made = run(tmp_path, build="echo no network; exit 1")
    assert (code, made) == (1, [*FIRST, SLOW])
    assert "no network" in shown[-20:]
    assert "FAILED in `prepare_containers`" in shown[-1]
