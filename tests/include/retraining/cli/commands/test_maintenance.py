"""The commands around a store and its runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from include.retraining.store.object_store import URI_VARIABLE, Store
from tests.support.command_line import Run
from tests.support.gate_checks import STRICT_POLICY
from tests.support.run_factory import (
    MODEL,
)


def test_gate_replay(store: Store, run: Run, known: None, tmp_path: Path) -> None:
    """`gate-replay` says which decisions would flip under other rules."""
    policy = tmp_path / "new.yaml"
    policy.write_text(yaml.safe_dump({"gates": STRICT_POLICY | {"fairness": []}}))
    code, out, _ = run("gate-replay", MODEL, "--policy", str(policy))
    assert code == 0
    assert out.endswith("1 of 3 decisions would flip\n")
    replayed = json.loads(run("gate-replay", MODEL, "--policy", str(policy), "--json")[1])
    assert [(item["before"], item["after"]) for item in replayed] == [
        ("fail", "pass"),
        ("pass", "pass"),
        ("pass", "pass"),
    ]
    policy.write_text("gates: {metric: goodness}")
    code, _, err = run("gate-replay", MODEL, "--policy", str(policy))
    assert code == 1
    assert f"{policy}: gates: 'goodness' is not a metric" in err
    assert "cannot be read" in run("gate-replay", MODEL, "--policy", "nowhere.yaml")[2]


def test_gc(store: Store, run: Run) -> None:
    """`gc` only says what may go; with --delete it goes."""
    path = store.local_path(f"models/{MODEL}/versions/0123456789abcdef/0-1/model.skops")
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    os.utime(path, (1, 1))
    _, out, _ = run("gc")
    assert "an unfinished attempt" in out
    assert "1 objects (0.0 MB) may go; --delete removes them" in out
    assert path.exists()
    assert "1 objects (0.0 MB) were removed" in run("gc", MODEL, "--delete")[1]
    assert not path.exists()
    assert json.loads(run("gc", "--json")[1]) == []


def test_init(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` makes a store where it is told to, and needs to be told."""
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    assert "name the place" in run("init")[2]
    uri = f"file://{tmp_path}/new"
    assert run("init", "--store", uri) == (0, f"{uri} is a store\n", "")
    monkeypatch.setenv(URI_VARIABLE, uri)
    assert run("init")[0] == 0
    assert json.loads(run("init", "--json")[1]) == {"store": uri}


def test_a_place_that_is_no_store(run: Run, tmp_path: Path) -> None:
    """Every command refuses a place that was not initialised, and says what to do."""
    for words in (("champion", MODEL), ("gc",), ("show", "x"), ("why", MODEL)):
        code, out, err = run(*words, "--store", f"file://{tmp_path}")
        assert (code, out) == (1, "")
        assert "is not a store" in err
        assert "python -m include.retraining init" in err
