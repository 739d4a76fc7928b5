"""A store with runs, and commands run in this process."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

from include.retraining.__main__ import main
from include.retraining.decisions.record import Outcome
from include.retraining.notifications.outbox import deliver_waiting
from include.retraining.steps.close_run import close_run
from include.retraining.store.marker import initialise, open_store
from include.retraining.store.object_store import OPTIONS_VARIABLE, URI_VARIABLE, Store
from tests.support.command_line import Run
from tests.support.run_factory import (
    CONFIG,
    decide,
    plant_run,
    run_ref,
    saved_model,
)


@pytest.fixture(scope="session")
def planted_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is copied for each test: two promoted runs, a rejected and a broken one."""
    folder = tmp_path_factory.mktemp("planted")
    store = initialise(f"file://{folder}", {})
    for day in (1, 2):
        decide(store, plant_run(store, day, model_bytes=saved_model()))
    decide(store, plant_run(store, 3, report={"fairness.0.disparate_impact": 0.7123}))
    close_run(
        store, run_ref(4), Outcome.FAILED, "the trainer was killed", failed_task="train_model"
    )
    deliver_waiting(store, lambda notice: None)  # what these decided was sent
    return folder


@pytest.fixture
def store(planted_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store of the test's own, which the environment names, with runs of each kind."""
    folder = tmp_path / "planted_store"
    shutil.copytree(planted_store, folder)
    monkeypatch.setenv(URI_VARIABLE, f"file://{folder}")
    monkeypatch.setenv(OPTIONS_VARIABLE, "{}")
    return open_store(f"file://{folder}")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; return exit code, output and errors."""

    def run_command(*words: str) -> tuple[int, str, str]:
        code = main(words)
        found = capsys.readouterr()
        return code, found.out, found.err

    return run_command


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the planted model be one of the repository's."""
    # Imported before, or the replacement would stay in it for the tests that follow.
    importlib.import_module("include.retraining.cli.config_check")
    monkeypatch.setattr("include.retraining.config.model.load_model", lambda name: CONFIG)
