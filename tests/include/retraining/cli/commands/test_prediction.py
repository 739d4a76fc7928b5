"""The command that predicts for the rows of a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.retraining.registry.promotion import Registry
from include.retraining.store.layout import promotion_key
from include.retraining.store.object_store import Store
from tests.support.command_line import Run
from tests.support.run_factory import MODEL, plant_version, saved_model, version_name


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three rows."""
    path = tmp_path / "in.csv"
    path.write_text("id,x\n1,0.5\n2,1.5\n3,2.5\n")
    return path


@pytest.fixture(autouse=True)
def typed(known: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted versions are of before types were recorded, and their model has no file."""
    from pandera.engines.pandas_engine import Engine

    from include.retraining.config.csv_dialect import CsvDialect
    from include.retraining.data.column_types import ColumnTypes
    from include.retraining.data.reading import Reading
    from include.retraining.serving import prediction_file

    types = ColumnTypes({"x": Engine.dtype("float64")})
    reading = Reading(MODEL, types, CsvDialect(), "", ("x",))
    monkeypatch.setattr(prediction_file, "_reading", lambda manifest, config: reading)


def test_the_champion_predicts(store: Store, run: Run, data: Path) -> None:
    """The rows are written with their keys, and it is said which version predicted them."""
    out = data.with_name("out.csv")
    code, said, _ = run("predict", MODEL, "--data", str(data), "--out", str(out))
    assert (code, said) == (
        0,
        f"3 rows predicted by version {version_name(2)} (generation 2): {out}\n",
    )
    lines = out.read_text().splitlines()
    assert lines[0] == "id,prediction,probability_0,probability_1"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3"]


def test_after_a_rollback_the_version_before_predicts(store: Store, run: Run, data: Path) -> None:
    """The log is read by each command."""
    Registry(store, MODEL).rollback(version_name(1), actor="ops", reason="complaints")
    out = data.with_name("out.parquet")
    code, said, _ = run("predict", MODEL, "--data", str(data), "--out", str(out), "--json")
    assert code == 0
    assert json.loads(said) == {
        "model": MODEL,
        "version": version_name(1),
        "generation": 3,
        "rows": 3,
        "out": str(out),
    }


def test_a_given_version_predicts(store: Store, run: Run, data: Path) -> None:
    """`--version` names one, whether it is the champion or not; one that is none is said."""
    out = data.with_name("out.csv")
    words = ("predict", MODEL, "--data", str(data), "--out", str(out), "--version")
    code, said, _ = run(*words, version_name(1))
    assert (code, f"by version {version_name(1)} (generation 1)" in said) == (0, True)
    plant_version(store, 5, model_bytes=saved_model())
    code, said, _ = run(*words, version_name(5))
    assert (code, f"by version {version_name(5)} (never served)" in said) == (0, True)
    code, _, err = run(*words, "0" * 16)
    assert (code, "there is no version" in err) == (1, True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,x\n1,0.5\n2,one\n", "in.csv: 1 cell, the first in line 3, not of type float"),
        ("id,y\n1,0.5\n", "in.csv: "),
        ("id,x\n", "in.csv: has no rows"),
    ],
)
def test_bad_input(store: Store, run: Run, data: Path, text: str, said: str) -> None:
    """It is refused with the file, the column and the line, and nothing is written."""
    data.write_text(text)
    out = data.with_name("out.csv")
    code, printed, err = run("predict", MODEL, "--data", str(data), "--out", str(out))
    assert (code, printed) == (1, "")
    assert said in err
    assert "one" not in err.replace("one of", "").replace("none", "")
    assert not out.exists()


def test_a_damaged_log_is_said_once(
    store: Store, run: Run, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With what to do about it; a log of the process repeats nothing."""
    key = promotion_key(MODEL, 2)
    store.write(key, store.read(key).replace(b'"generation": 2', b'"generation": 3'))
    code, _, err = run("predict", MODEL, "--data", str(data), "--out", str(data.parent / "o.csv"))
    assert code == 1
    assert err == (
        f"{key}: entry 2 of {MODEL} says that it is entry 3 of {MODEL}: it was altered; run "
        f"`verify {MODEL}`, and see docs/runbooks/promotion_log.md\n"
    )
    assert caplog.records == []


def test_an_unknown_model(store: Store, run: Run, data: Path, monkeypatch: pytest.MonkeyPatch):
    """A slip in a name is answered before anything is read."""
    monkeypatch.undo()
    monkeypatch.setenv("RETRAINING_STORE", store.uri)
    code, _, err = run("predict", "loan_aproval", "--data", str(data), "--out", "x.csv")
    assert (code, "loan_approval" in err) == (1, True)
