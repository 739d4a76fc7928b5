"""`new NAME --data FILE`: files that pass, with every guess marked."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import include.models
from include.local_airflow.demo.samples import diabetes_progression, loan_approval
from include.retraining.cli import config_check
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.config.model_code import ModelCode, load_model_code
from include.retraining.exceptions import ConfigError
from include.retraining.scaffold.new_model import NewModel, new_model
from tests.docs.markdown_files import ROOT


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of models beside the repository's own."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setattr(include.models, "__path__", [*include.models.__path__, str(folder)])
    monkeypatch.setattr(config_check, "load_model", lambda name: load_model(name, folder))
    yield folder
    for path in folder.glob("*.py"):
        sys.modules.pop(f"include.models.{path.stem}", None)
        vars(include.models).pop(path.stem, None)


def loaded(models: Path, name: str) -> tuple[ModelConfig, ModelCode]:
    """A written model, which `validate-config` accepts, and of whose marks it warns."""
    importlib.invalidate_caches()
    checked = config_check.check_model(name, name)
    assert checked.problems == ()
    assert any("CHECK" in warning for warning in checked.warnings)
    config = load_model(name, models)
    return config, load_model_code(config)


def made(
    models: Path, data: bytes | pd.DataFrame, name: str = "made", **given: str
) -> tuple[NewModel, ModelConfig, ModelCode]:
    """What is written from a sample."""
    path = models.parent / "sample.csv"
    if isinstance(data, pd.DataFrame):
        path = path.with_suffix(".parquet")
        data.to_parquet(path, index=False)
    else:
        path.write_bytes(data)
    new = new_model(name, path, folder=models, **given)
    return new, *loaded(models, name)


def formatted(models: Path) -> bool:
    """Whether the linter and the formatter of this repository have nothing to change."""
    settings = str(ROOT / "pyproject.toml")
    for command in (["check"], ["format", "--check"]):
        words = [
            str(Path(sys.executable).with_name("ruff")),
            *command,
            "--config",
            settings,
            str(models),
        ]
        words += ["--extend-ignore", "TID253"] * (command == ["check"])  # by place
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
        if ended.returncode:
            pytest.fail(ended.stdout + ended.stderr)
    return True


def test_a_regression_is_guessed(models: Path):
    """Of the diabetes sample: key, label, features, and sex as what is audited."""
    new, config, code = made(models, diabetes_progression(), label="progression")
    assert (config.problem, config.data.key) == ("regression", "patient_id")
    assert config.protected_columns == {"sex"}
    assert code.features == ("age", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    assert config.gates.metric == "r2"
    assert config.trigger.schedule is None
    assert "age: age is learned from: many laws protect it" in new.guessed
    assert any(line.startswith("owner: ") for line in new.not_known)
    assert formatted(models)


def test_a_binary_problem_is_guessed(models: Path):
    """Of the loan sample: which columns leak, who is protected, and where cells are missing."""
    _, config, code = made(models, loan_approval(), label="approve")
    assert (config.problem, config.data.positive) == ("binary", 1)
    assert config.data.key == "application_id"
    assert set(config.data.never_features) == {"action", "reject"}
    protected = {attribute.name: attribute for attribute in config.data.protected}
    assert set(protected["race"].one_hot or ()) == {"black", "hispan", "white"}
    assert protected["sex"].column == "male"
    assert {"approve", "action", "reject", "male", "white"}.isdisjoint(code.features)
    columns = code.contract.to_schema().columns
    assert columns["dep"].nullable
    assert not columns["emp"].nullable
    assert config.data.label_rate is not None
    assert config.data.label_rate.min < 0.88 < config.data.label_rate.max
    assert formatted(models)


def people(rows: int = 200) -> pd.DataFrame:
    """Rows of every kind of column."""
    random = np.random.default_rng(1)
    height = random.normal(170, 10, rows)
    kinds = np.array(["small", "middle", "tall"])[np.digitize(height, [165, 175])]
    return pd.DataFrame({
        "member": [f"m{number:04d}" for number in range(rows)],
        "outcome": kinds,
        "float": height + random.normal(0, 3, rows),
        "two words": random.integers(0, 9, rows).astype("int32"),
        "class": random.choice(["red", "blue", 'a "quoted" one'], rows),
        "is_new": random.random(rows) > 0.5,
        "seen": pd.Timestamp("2026-01-01") + pd.to_timedelta(range(rows), unit="D"),
        "constant": 1,
        "shelf": random.choice(["101", "202"], rows),
        "note": [f"text {number} \N{SNOWMAN}" for number in range(rows)],
        "gaps": np.where(random.random(rows) > 0.8, np.nan, 1.5 * height),
        "Gender": random.choice(["f", "m", "x"], rows),
    })


def test_every_kind_of_column_has_its_line(models: Path):
    """Names that Python or pandera uses get an alias; what is not read is said with a reason."""
    new, config, code = made(models, people(), name="yes")
    assert (config.name, config.title, config.problem) == ("yes", "Yes", "multiclass")
    assert (config.data.key, config.data.label) == ("member", "outcome")
    assert set(code.features) == {"float", "two words", "gaps", "class", "shelf", "is_new"}
    columns = code.contract.to_schema().columns
    assert {"float", "two words", "class", "seen", "Gender"} <= set(columns)
    assert {"constant", "note"}.isdisjoint(columns)
    text = (models / "yes.py").read_text(encoding="utf-8")
    assert "# - note: 200 different texts" in text
    assert "# - constant: the same in all rows of the sample" in text
    assert "# split: {by: time, column: seen, holdout_days: 30}" in (models / "yes.yaml").read_text(
        encoding="utf-8"
    )
    assert "time: seen" in new.guessed
    assert all(word not in text for word in ('"f"', '"m"', '"x"'))  # of a protected column
    assert formatted(models)


GERMAN = "Nr;Größe;Klasse;PLZ;Datum\n" + "".join(
    f"{number};{1.5 + number / 7:.2f}".replace(".", ",")
    + f";{'ja' if number % 3 else 'nein'};0{number % 10}0;2026-01-{1 + number % 28:02d}\n"
    for number in range(1, 101)
).replace("1,64;", "NA;", 1)


def test_another_dialect_is_written_down(models: Path):
    """Separator, decimal sign, encoding and words for a missing cell are those of the sample."""
    data = GERMAN.encode("cp1252")
    _, config, code = made(models, data, label="Klasse")
    csv = config.data.csv
    assert (csv.separator, csv.decimal, csv.encoding, csv.missing) == (";", ",", "cp1252", ("NA",))
    columns = code.contract.to_schema().columns
    assert columns["Größe"].nullable
    assert str(columns["PLZ"].dtype) == "string[pyarrow]"
    assert config.data.positive in {"ja", "nein"}


MANY_FORMS = (
    '\ufeffid,y,"two\nlines"\n' + "".join(f"{n},{n % 2},{n % 7}.5\n" for n in range(200)),
    "id,y,x\r" + "".join(f"{n},{n % 2},{n % 7}.5\r" for n in range(200)),
)


@pytest.mark.parametrize("text", MANY_FORMS, ids=["mark and quotes", "carriage returns"])
def test_odd_files_are_read(models: Path, text: str):
    """A byte order mark, a name of two lines and lines that end in CR make no difference."""
    _, config, code = made(models, text.encode())
    assert (config.data.key, config.data.label) == ("id", "y")
    assert code.features == (("two\nlines",) if "two" in text else ("x",))


def test_what_is_written_another_way_is_said(models: Path):
    """German dates, offsets and thousands are not read, and each with how it would be."""
    rows = 60
    lines = [
        f"{n};{n % 2};{n % 7},5;{1 + n % 28:02d}.01.2026;2026-01-31T12:{n:02d}:00+01:00;{n}.123,45"
        for n in range(10, 10 + rows)
    ]
    text = "\n".join(["id;y;x;day;sent;price", *lines])
    new, _, code = made(models, text.encode())
    assert code.features == ("x",)
    (line,) = [line for line in new.guessed if line.startswith("not read: ")]
    assert "day (looks like dates that are not ISO 8601: write them like 2026-01-31)" in line
    assert "sent (looks like times with an offset: write them in UTC" in line
    assert "price (looks like numbers with a sign between thousands" in line


def test_times_of_another_zone_are_said(models: Path):
    """With the line of a contract that reads them."""
    frame = people()
    frame["seen"] = frame["seen"].dt.tz_localize("Europe/Paris")
    new, _, _ = made(models, frame)
    (line,) = [line for line in new.guessed if line.startswith("time: ")]
    assert line == (
        "time: seen (times in Europe/Paris: to read them declare "
        'Annotated[pd.DatetimeTZDtype, "us", "Europe/Paris"])'
    )
    assert "seen (" not in next(line for line in new.guessed if line.startswith("not read: "))


def test_numbered_columns_share_a_line(models: Path):
    """64 pixels are one pattern in the contract and one expression in the feature list."""
    from tests.include.retraining.config.test_contract_forms import digits

    _, _, code = made(models, digits(), label="is_even", key="image_id")
    text = (models / "made.py").read_text(encoding="utf-8")
    assert 'f"p{number:02d}" for number in range(1, 64) if number not in {32, 39}' in text
    assert 'alias="p[0-9]+$", regex=True, ge=0, le=50' in text
    assert len(text.splitlines()) < 70
    assert [name for name in code.features if name[0] == "p"][:2] == ["p01", "p02"]
    assert formatted(models)


ROWS = "".join(f"{number},{number % 2},{number * 7 % 13}.5\n" for number in range(100))
BAD: dict[str, tuple[bytes, dict[str, str], str]] = {
    "empty": (b"", {}, "is empty"),
    "header only": (b"id,y,x\n", {}, "no row"),
    "one column": (b"id\n1\n2\n", {}, "has one column only"),
    "no header": (ROWS.encode(), {}, "holds numbers where the names of the columns belong"),
    "name twice": (f"id,y,y\n{ROWS}".encode(), {}, "columns 2 and 3 have the same name"),
    "not text": (b"id,y\x00", {}, "is no text: save it as CSV or as Parquet"),
    "a workbook": (b"PK\x03\x04\x00", {}, "is a zip archive or an Excel workbook"),
    "Parquet as CSV": (b"PAR1\x00", {}, "is Parquet: its name must end in .parquet"),
    "one row": (b"id,y,x\n1,2,3\n", {}, "has one row only"),
    "an index": (f",y,x\n{ROWS}".encode(), {}, "column 1 has no name: name it, or"),
    "infinite": (f"id,y,x\n{ROWS}7000,1,inf\n".encode(), {}, "must be finite: 1 row"),
    "label is the last of many": (
        f"id,{','.join(f'c{n}' for n in range(30))},why\n{'1,' * 31}2\n{'2,' * 31}3\n".encode(),
        {},
        "19 more, and at the end c27, c28, c29, why",
    ),
    "label was taken for the key": (
        f"id,y,x\n{ROWS}".encode(),
        {"label": "id"},
        "'id': was guessed to be the key: give --key",
    ),
    "label with thousands": (
        b"id;y;x\n" + b"".join(b"%d;%d.%d,5;%d\n" % (n, n + 1, n + 101, n) for n in range(60)),
        {},
        "it looks like numbers with a sign between thousands",
    ),
    "no such label": (f"id,y,x\n{ROWS}".encode(), {"label": "yy"}, "did you mean 'y'?"),
    "label not known": (f"id,why,x\n{ROWS}".encode(), {}, "no column is named like a label"),
    "label is key": (f"id,y,x\n{ROWS}".encode(), {"label": "id", "key": "id"}, "'id': is the key"),
    "constant label": (
        b"id,y,x\n" + b"".join(b"%d,1,%d.5\n" % (n, n % 9) for n in range(60)),
        {},
        "the label 'y' has one value in all rows",
    ),
    "gaps in the label": (
        f"id,y,x\n{ROWS}100,,2.5\n".encode(),
        {},
        "of 101 rows, the first in row 101:",
    ),
    "no key": (
        b"z,y,x\n" + b"".join(b"%d,%d,%d.5\n" % (n % 9, n % 2, n % 7) for n in range(60)),
        {},
        "no column looks like the key",
    ),
    "key repeats": (f"id,y,x\n{ROWS}".encode(), {"key": "y"}, "repeats: 2 different values"),
    "nothing to learn from": (
        b"id,y,x\n" + b"".join(b"%d,%d,3\n" % (n, n % 2) for n in range(60)),
        {},
        "no column is left to learn from",
    ),
    "label of texts": (
        b"id,y,x\n" + b"".join(b"%d,t%d,%d\n" % (n, n, n % 7) for n in range(60)),
        {},
        "60 different texts",
    ),
    "label of dates": (
        b"id,y,x\n" + b"".join(b"%d,2026-01-%02d,%d\n" % (n, 1 + n % 2, n % 7) for n in range(60)),
        {},
        "holds neither numbers nor classes",
    ),
    "not gzip": (b"id,y\n", {}, "is not readable as gzip"),
    "not Parquet": (b"id,y\n", {}, "is not readable as Parquet"),
    "a line above the header": (f"Report\nid,y,x\n{ROWS}".encode(), {}, "has one column only"),
    "rows of other length": (f"id,y,x\n{ROWS}7,7\n".encode(), {}, "would be refused"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_sample_that_gives_no_model_is_refused_in_words(models: Path, case: str):
    """Nothing is written, and the words say what is missing or what to give."""
    data, given, said = BAD[case]
    ending = {"not gzip": ".csv.gz", "not Parquet": ".parquet"}.get(case, ".csv")
    path = models.parent / f"sample{ending}"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        new_model("made", path, folder=models, **given)
    assert list(models.iterdir()) == []


@pytest.mark.parametrize("name", ["Made", "1st", "a", "import", "../made", "x" * 49])
def test_a_name_that_is_none_for_a_model_is_refused(models: Path, name: str):
    """Before the file is looked for."""
    with pytest.raises(ConfigError, match="is no name for a model"):
        new_model(name, Path("nowhere.csv"), folder=models)


@pytest.mark.parametrize("taken", ["made.yaml", "made.py", "made"])
def test_nothing_is_overwritten(models: Path, taken: str):
    """One file, or a folder of scripts, is enough for a refusal, and stays as it is."""
    (models / taken).write_text("mine")
    with pytest.raises(ConfigError, match=f"include/models/{taken} is there already"):
        new_model("made", Path("nowhere.csv"), folder=models)
    assert [path.read_text() for path in models.iterdir()] == ["mine"]


def test_both_files_are_written_or_none(models: Path, monkeypatch: pytest.MonkeyPatch):
    """A disk that fills up after the first leaves nothing."""
    import os

    link = os.link

    def fails(source: Any, target: Any) -> None:
        if str(target).endswith(".yaml"):
            raise OSError(28, "No space left on device")
        link(source, target)

    monkeypatch.setattr("os.link", fails)
    with pytest.raises(ConfigError, match="No space left on device; nothing was"):
        made(models, diabetes_progression(), label="progression")
    assert list(models.iterdir()) == []


def test_a_contract_of_the_sample_refuses_other_data(models: Path):
    """What is guessed binds: a text where the sample had numbers is refused."""
    made(models, diabetes_progression(), label="progression")
    path = models.parent / "other.csv"
    path.write_bytes(diabetes_progression().replace(b",59.0,", b",old,", 1))
    from include.retraining.scaffold.like import model_like

    with pytest.raises(ConfigError, match=r"other\.csv would be refused as a delivery"):
        model_like("other", "made", data=path, folder=models)


def test_a_model_like_another_shares_its_python(models: Path):
    """Its YAML has places of its own, and its code is the other's: one change is for all."""
    from include.retraining.fingerprint.digests import training_digest
    from include.retraining.scaffold.like import model_like

    made(models, diabetes_progression(), name="progression", label="progression")
    yaml = models / "progression.yaml"
    more = "  # landing/progression_new/ landing/progression_old/\n"
    yaml.write_text(yaml.read_text().replace("tier: 3  #", f"tier: 3\n{more}  #"))
    (models / "progression_old.yaml").write_text("name: progression_old")
    new = model_like("progression_lyon", "progression", folder=models)
    written = (models / "progression_lyon.yaml").read_text()
    assert "# landing/progression_lyon_new/ landing/progression_old/" in written
    config, code = loaded(models, "progression_lyon")
    assert config.title == "Progression lyon"
    assert config.data.label == "progression"  # a column that is called like the model
    assert config.description == "Predicts progression."
    assert config.trigger.flag == "landing/progression_lyon/ready.flag"
    assert config.data.location == "landing/progression_lyon"
    assert vars(config.data.split)["salt"] == "progression_lyon-1"
    assert code.features == load_model_code(load_model("progression", models)).features
    assert new.guessed[0].startswith("like progression: ")
    before = training_digest("progression_lyon")
    python = models / "progression.py"
    python.write_text(python.read_text().replace("alphas=(0.1, ", "alphas=(0.2, "))
    assert training_digest("progression_lyon") != before
    assert formatted(models)


def test_who_trains_by_scripts_is_no_recipe(models: Path):
    """Scripts belong to a model's own folder."""
    from include.retraining.config.model import MODELS_FOLDER
    from include.retraining.scaffold.like import model_like

    for name in ("loan_approval_r.yaml", "loan_approval_r.py"):
        (models / name).write_bytes((MODELS_FOLDER / name).read_bytes())
    with pytest.raises(ConfigError, match="is trained by the scripts of its folder"):
        model_like("loan_lyon", "loan_approval_r", folder=models)
    (models / "loan_approval_r.py").unlink()


def test_the_command_prints_what_it_guessed(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """And what comes next; without a sample it is wrong usage."""
    from include.retraining.__main__ import main
    from include.retraining.scaffold import new_model as module

    path = models.parent / "patients.csv"
    path.write_bytes(diabetes_progression())
    written = module.new_model

    def here(*words: Any, **given: Any) -> NewModel:
        return written(*words, **given, folder=models)

    monkeypatch.setattr(module, "new_model", here)
    assert main(["new", "made", "--data", str(path), "--label", "progression"]) == 0
    out = capsys.readouterr().out
    assert "Written: include/models/made.yaml and include/models/made.py." in out
    assert "  label: progression: regression" in out
    assert f"try made --data {path}" in out
    assert main(["new", "third"]) == 2
    assert main(["new", "third", "--from", "made", "--key", "id"]) == 2
