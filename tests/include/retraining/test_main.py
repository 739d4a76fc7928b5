"""Processes of the command line: what jobs start, and what users type."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.retraining.store.marker import initialise
from include.retraining.store.object_store import OPTIONS_VARIABLE, URI_VARIABLE, Store
from tests.support.run_factory import MODEL, decide, plant_run

ROOT = Path(__file__).parents[3]
# What only those import who need it: numeric libraries, tables, Airflow.
HEAVY = ("pandas", "numpy", "sklearn", "pandera", "pyarrow", "skops", "matplotlib", "fairlearn")


@pytest.fixture
def store(folder_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store that the environment names, with one promoted run."""
    store = initialise(folder_store.uri, {})
    monkeypatch.setenv(URI_VARIABLE, store.uri)
    monkeypatch.setenv(OPTIONS_VARIABLE, "{}")
    decide(store, plant_run(store, 1))
    return store


def python(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a Python of its own."""
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, text=True, capture_output=True, check=False
    )


@pytest.mark.parametrize("words", [["history"], ["history", "--json"]])
def test_a_reader_that_has_seen_enough(store: Store, words: list[str]) -> None:
    """A pipe that is closed, as by `| head -1`, is no failure and prints nothing on the screen."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "include.retraining", words[0], MODEL, *words[1:]],
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(write)
    assert (process.returncode, process.stderr) == (0, b"")


def test_a_step_of_a_run_that_is_not_there(store: Store) -> None:
    """A job's step ends with 1 and one line when its run was never planned.

    Until then it has imported no parser of the commands that users type.
    """
    uri = f"{store.uri}/models/{MODEL}/runs/20260101T000000-x-01234567"
    process = python(
        "import sys\n"
        "from include.retraining.__main__ import main\n"
        f"code = main(['train', '--run', '{uri}', '--attempt', '0-1'])\n"
        "names = {'typer', 'click', 'rich', 'shellingham', 'include.retraining.cli'}\n"
        "print(sorted(names & set(sys.modules)))\n"
        "sys.exit(code)\n"
    )
    assert (process.returncode, process.stdout) == (1, "[]\n")
    assert "never planned" in process.stderr
    assert process.stderr.count("\n") == 1


def test_a_question_imports_nothing_heavy(store: Store) -> None:
    """Asking costs no import of a numeric library, and none of rich where a line is printed."""
    commands = [["champion", MODEL], ["why", MODEL], ["verify", MODEL], ["gc"]]
    process = python(
        "import sys\n"
        "from include.retraining.__main__ import main\n"
        f"for words in {commands}:\n"
        "    assert main(words) == 0\n"
        f"    heavy = [name for name in {(*HEAVY, 'rich', 'airflow')} if name in sys.modules]\n"
        "    assert heavy == [], (words, heavy)\n"
    )
    assert (process.returncode, process.stderr) == (0, "")


def test_a_job_that_watches_its_parent_ends_with_it(store: Store) -> None:
    """With --watch-parent a job ends when its standard input is closed, whatever it is doing."""
    script = (
        "import sys, time\n"
        "from include.retraining.steps import runner\n"
        "def run_steps(*arguments):\n"
        "    print('busy', flush=True)\n"
        "    time.sleep(600)\n"
        "runner.run_steps = run_steps\n"
        "from include.retraining.__main__ import main\n"
        "sys.exit(main(['train', '--run', 'x', '--watch-parent']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    process.stdin.close()
    assert process.wait(timeout=60) == -9
    process.stdout.close()
    assert process.stderr is not None
    assert "the parent process is gone" in process.stderr.read()
    process.stderr.close()
