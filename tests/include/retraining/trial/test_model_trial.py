"""`try NAME`: what a run does, without Airflow and without promoting."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from include.retraining.__main__ import main
from include.retraining.decisions.record import Outcome
from include.retraining.decisions.records import decisions
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.marker import open_store
from include.retraining.store.object_store import OPTIONS_VARIABLE, URI_VARIABLE, Store
from tests.support.command_line import Run
from tests.support.toy_models import Toy, make_frame


@pytest.fixture
def toy(make_toy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Toy:
    """A model that the command line knows; temporary stores lie in the test's own folder."""
    toy: Toy = make_toy()
    monkeypatch.setattr("include.retraining.config.model.load_model", lambda name: toy.config)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv(OPTIONS_VARIABLE, "{}")
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    return toy


@pytest.fixture
def try_toy(toy: Toy, capsys: pytest.CaptureFixture[str]) -> Run:
    """Tries the model; returns exit code, output and errors."""

    def run(*words: str) -> tuple[int, str, str]:
        code = main(["try", toy.name, *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def written(path: Path, **frame: Any) -> str:
    """The path of a file with toy rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    make_frame("binary", **frame).to_csv(path, index=False)
    return str(path)


def store_of(answer: dict[str, Any]) -> Store:
    """The store of a trial."""
    return open_store(answer["store"])


def test_a_trial_leaves_what_a_run_leaves(toy: Toy, try_toy: Run, tmp_path: Path):
    """It has the same version and the same scores, a card, and the record of a dry run."""
    kept = tmp_path / "kept"
    data = written(tmp_path / "rows.csv")
    code, out, err = try_toy("--data", data, "--store", str(kept), "--date", "2026-11-20", "--json")
    assert code == 0, err
    answer = json.loads(out)
    assert answer["store"] == kept.as_uri()
    toy.deliver(make_frame("binary"), as_csv=True)
    toy.store.delete("landing/toy/data.csv")
    toy.store.write("landing/toy/rows.csv", (tmp_path / "rows.csv").read_bytes())
    toy.store.write("landing/toy/ready.flag", b"")
    job, _ = toy.run()
    assert answer["version"] == job.manifest.version
    assert Path(answer["card"]).read_text(encoding="utf-8").startswith("# ")
    (record,) = decisions(store_of(answer), toy.name)
    assert record.outcome is Outcome.DRY_RUN
    assert record.params is not None
    assert record.params.date == date(2026, 11, 20)
    assert PromotionLog(store_of(answer), toy.name).history() == []
    assert [line.split(":")[0] for line in err.splitlines() if not line.startswith(" ")][:4] == [
        "plan",
        "contract",
        "training",
        "evaluation",
    ]


def test_a_refusal_has_an_exit_code_of_its_own(toy: Toy, try_toy: Run, tmp_path: Path):
    """The table, the verdict and the card are shown all the same."""
    toy.changes = {
        "gates": {"minimum": {"accuracy": 0.999}},
        "trigger": {"schedule": "@daily", "flag": "file:///landing/{date}/ready.flag"},
        "data": {"location": "file:///landing/{date}"},
    }
    folder = Path(written(tmp_path / "folder" / "a.csv")).parent
    code, out, err = try_toy("--data", str(folder))
    assert code == 3, err
    assert f"{toy.name}: FAIL: " in out
    (card,) = (line for line in out.splitlines() if line.startswith("card: "))
    assert Path(card.removeprefix("card: ")).is_file()
    assert "Nothing was promoted." in out


def test_the_model_of_an_earlier_delivery_is_the_champion(toy: Toy, try_toy: Run, tmp_path: Path):
    """With `--against` a challenger is compared with it, on the rows that both never saw."""
    earlier = written(tmp_path / "earlier" / "rows.csv", rows=300)
    later = written(tmp_path / "later" / "rows.csv")
    code, out, err = try_toy("--data", later, "--against", str(Path(earlier).parent))
    assert code in {0, 3}, err
    assert "against champion " in out
    said = f"The champion of this store is the model of {Path(earlier).parent}."
    assert out.endswith(f"Nothing was promoted. {said}\n")
    assert "not judged" not in out
    assert "it serves: " in err
    code, _, err = try_toy("--data", later, "--against", later)
    assert code == 1
    assert "the same data and the same code as the champion's" in err
    toy.changes = {"gates": {"minimum": {"accuracy": 0.999}}}
    code, _, err = try_toy("--data", later, "--against", earlier)
    assert code == 1
    assert "its model did not pass its own gates" in err


def test_data_that_break_the_contract_end_the_trial(toy: Toy, try_toy: Run, tmp_path: Path):
    """The reason is what a run would say, and no temporary store stays behind."""
    path = tmp_path / "rows.csv"
    make_frame("binary").assign(a=None).to_csv(path, index=False)
    code, out, err = try_toy("--data", str(path))
    assert (code, out) == (1, "")
    assert "validate failed (data_rejected): the data breaks its contract: a: " in err
    assert list((tmp_path / "temporary").iterdir()) == []


def test_without_data_they_lie_where_the_yaml_says(
    toy: Toy,
    try_toy: Run,
    s3_bucket: str,
    s3_options: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
):
    """A trial reads the store of the environment, needs no flag there and leaves nothing.

    This one cannot be judged, which has an exit code of its own too.
    """
    code, _, err = try_toy()
    assert code == 1
    assert "--data FILE or FOLDER" in err
    toy.store = Store(f"s3://{s3_bucket}/prefix", s3_options)
    toy.deliver(make_frame("binary"))
    toy.store.delete("landing/toy/ready.flag")
    monkeypatch.setenv(URI_VARIABLE, toy.store.uri)
    monkeypatch.setenv(OPTIONS_VARIABLE, json.dumps(s3_options))
    toy.changes = {"gates": {"min_holdout_rows": 10_000}}
    code, out, err = try_toy()
    assert code == 4, err
    assert f"{toy.name}: CANNOT JUDGE: " in out
    assert [info.key for info in toy.store.objects()] == ["landing/toy/data.parquet"]


def test_a_trial_in_a_store_in_use_is_a_dry_run_there(toy: Toy, try_toy: Run, tmp_path: Path):
    """It is compared with the champion of that store, which stays."""
    toy.promote(*toy.run())
    folder = toy.store.uri.removeprefix("file://")
    data = written(tmp_path / "rows.csv", rows=600)
    code, out, err = try_toy("--data", data, "--store", folder)
    assert code in {0, 3}, err
    assert "against champion " in out
    assert len(PromotionLog(toy.store, toy.name).history()) == 1
    code, _, err = try_toy("--data", data, "--against", data, "--store", folder)
    assert code == 1
    assert "which no store in use is for" in err


def test_a_folder_of_something_else_is_no_store(toy: Toy, try_toy: Run, tmp_path: Path):
    """It stays as it is."""
    data = written(tmp_path / "data" / "rows.csv")
    code, _, err = try_toy("--data", data, "--store", str(tmp_path / "data"))
    assert code == 1
    assert "is neither a store nor an empty folder" in err
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["rows.csv"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--data", "nowhere.csv"], 1, "nowhere.csv: there is no such file or folder"),
        (["--data", __file__], 1, "a data file ends in .csv, .csv.gz, .parquet"),
        (["--data", "."], 1, "no file in"),
        (["--version", "0" * 16, "--data", "x"], 2, "goes with --store only"),
    ],
)
def test_wrong_data_are_named(
    toy: Toy,
    try_toy: Run,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: list[str],
    code: int,
    said: str,
):
    """The words say which file, and what is allowed."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    ended, out, err = try_toy(*words)
    assert (ended, out) == (code, "")
    assert said in err
