"""Files that are predicted for: what is written, and what is refused with nothing written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from include.retraining.config.csv_dialect import CsvDialect
from include.retraining.exceptions import DataRejected, ParameterError
from include.retraining.serving import prediction_file
from include.retraining.serving.prediction_file import predict_file
from include.retraining.serving.version import LoadedVersion, load_version
from include.retraining.store.marker import initialise
from include.retraining.training.feature_categories import Categories
from tests.support import run_factory
from tests.support.toy_models import Toy, make_frame, model_file

COLUMNS = ["id", "prediction", "probability_0", "probability_1"]


CONFIG = run_factory.CONFIG.model_copy(
    update={
        "data": run_factory.CONFIG.data.model_copy(
            update={"csv": CsvDialect(separator=";", missing=("NA",))}
        )
    }
)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedVersion:
    """A version whose feature `b` is a whole number."""
    frame = rows(400)
    manifest = run_factory.plant_version(
        initialise(f"file://{tmp_path_factory.mktemp('store')}"),
        features=("a", "b"),
        feature_types=("float64", "int64"),
    )
    return LoadedVersion(
        manifest=manifest,
        digest=manifest.content_digest,
        model=LogisticRegression().fit(frame[["a", "b"]], frame["y"]),
        generation=None,
        checked_at=datetime.now(UTC),
    )


def rows(number: int = 30) -> pd.DataFrame:
    """Rows to predict."""
    frame = make_frame("binary", number, seed=5)
    return frame.assign(b=np.arange(number))


def written(folder: Path) -> list[str]:
    """What lies in a folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["prediction", "probability_1"])
def test_a_key_that_is_called_as_a_prediction_hides_none(
    loaded: LoadedVersion, tmp_path: Path, name: str
) -> None:
    """The file is refused; without the key it is predicted."""
    keyed = CONFIG.model_copy(update={"data": CONFIG.data.model_copy(update={"key": name})})
    data, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    rows().rename(columns={"id": name}).to_parquet(data)
    with pytest.raises(DataRejected, match=rf"the key is the column '{name}', which is"):
        predict_file(loaded, keyed, data, out)
    assert not out.exists()
    rows()[["a", "b"]].to_parquet(data)
    assert predict_file(loaded, keyed, data, out) == 30


@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
@pytest.mark.parametrize("data", ["in.csv", "in.csv.gz", "in.parquet"])
def test_each_row_has_its_key_and_its_prediction(
    loaded: LoadedVersion, tmp_path: Path, data: str, out: str
) -> None:
    """The same rows give the same predictions whichever formats they come and go in."""
    frame = rows().drop(columns="y")
    if data == "in.parquet":
        frame.to_parquet(tmp_path / data)
    else:
        frame.to_csv(tmp_path / data, sep=";", index=False)
    assert predict_file(loaded, CONFIG, tmp_path / data, tmp_path / out) == 30
    path = tmp_path / out
    answers = pd.read_csv(path) if out == "out.csv" else pd.read_parquet(path)
    assert list(answers) == COLUMNS
    assert answers["id"].astype(int).tolist() == frame["id"].tolist()
    expected = loaded.predict(frame)
    assert answers["prediction"].tolist() == expected["prediction"].tolist()
    assert np.array_equal(answers[COLUMNS[2:]], expected[COLUMNS[2:]])


def test_a_key_stays_as_it_is_written(loaded: LoadedVersion, tmp_path: Path) -> None:
    """And a file without the key has its predictions in order."""
    frame = rows(3).assign(id=["007", "008", ""])
    frame.to_csv(tmp_path / "in.csv", sep=";", index=False)
    predict_file(loaded, CONFIG, tmp_path / "in.csv", tmp_path / "out.csv")
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["id", "007", "008", ""]
    frame[["b", "a"]].to_csv(tmp_path / "in.csv", sep=";", index=False)
    predict_file(loaded, CONFIG, tmp_path / "in.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().startswith("prediction,probability_0,")


BAD = {
    "a;b\n1.5;1\nx;2\n": r"in.csv: 1 cell, the first in line 3, not of type float",
    "a;b\n1.5;1\n1;2.5\n": r"in.csv: 1 cell, the first in line 3, not of type int",
    "a;b\n1.5;1\n1;NA\n": r"in.csv: .*'b' has no value in 1 of 2 rows, the first in row 2",
    "a\n1.5\n": r"in.csv: lacks the column 'b'",
    "a;b\n": r"in.csv: has no rows",
    "a;b\n1;2\n1;2;3\n": r"in.csv: line 3 has 3 cells, the header has 2",
    "a,b\n1,2\n": r"in.csv: looks separated by ',', not by ';'",
    "x;y\n1;2\n": r"in.csv: line 1 does not look like a header",
    "a;b;a\n1;2;3\n": r"in.csv: columns 1 and 3 have the same name",
    "": r"in.csv: is empty",
    "a;b\n1.5;20.0\n1;\n": r"a decimal point, as pandas does where cells are missing: have",
}


@pytest.mark.fault("V05")
@pytest.mark.parametrize("text", BAD)
def test_a_csv_that_is_refused(loaded: LoadedVersion, tmp_path: Path, text: str) -> None:
    """The file, the column and the line are named, and the file of before stays as it was."""
    (tmp_path / "in.csv").write_text(text)
    (tmp_path / "out.csv").write_text("of before")
    before = written(tmp_path)
    with pytest.raises(DataRejected, match=BAD[text]):
        predict_file(loaded, CONFIG, tmp_path / "in.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == "of before"
    assert written(tmp_path) == before


@pytest.mark.fault("V05")
@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"a": ["x"], "b": [1]}), "'a' is of type str, allowed is float"),
        (pd.DataFrame({"a": [1.0], "b": [1.5]}), "'b' is of type float, allowed is int"),
        (pd.DataFrame({"a": [1.0, 2.0], "b": [1, None]}), "'b' has no value in 1 of 2 rows"),
        (pd.DataFrame({"a": [1.0]}), "lacks the column 'b'"),
        (pd.DataFrame({"a": [1.0], "b": [1]}).head(0), "has no rows"),
        (None, "is not readable as Parquet"),
    ],
)
def test_a_parquet_that_is_refused(
    loaded: LoadedVersion, tmp_path: Path, frame: pd.DataFrame | None, said: str
) -> None:
    """The same in Parquet, whose columns have one type."""
    data = tmp_path / "in.parquet"
    if frame is None:
        data.write_bytes(b"no Parquet at all")
    else:
        frame.to_parquet(data)
    before = written(tmp_path)
    with pytest.raises(DataRejected, match=said) as caught:
        predict_file(loaded, CONFIG, data, tmp_path / "out.csv")
    assert str(caught.value).startswith(str(data))
    assert written(tmp_path) == before


@pytest.mark.parametrize(
    ("data", "out", "said"),
    [
        ("in.xlsx", "out.csv", r"--data .*in.xlsx: allowed endings are .csv, .csv.gz, .parquet"),
        ("none.csv", "out.csv", "there is no such file"),
        ("in.csv", "out.json", "allowed endings are .csv and .parquet"),
        ("in.csv", "none/out.csv", "there is no such folder: make it first"),
        ("in.csv", "in.csv", "name another file: this one is a folder or the data"),
        ("in.csv", "folder.csv", "name another file: this one is a folder or the data"),
    ],
)
def test_names_that_are_refused(
    loaded: LoadedVersion, tmp_path: Path, data: str, out: str, said: str
) -> None:
    """What a file may be called is said before anything is read."""
    (tmp_path / "in.csv").write_text("a;b\n1;2\n")
    (tmp_path / "in.xlsx").write_text("")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ParameterError, match=said):
        predict_file(loaded, CONFIG, tmp_path / data, tmp_path / out)


@pytest.mark.fault("V05")
def test_what_is_killed_while_it_writes_leaves_the_file_of_before(
    loaded: LoadedVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file gets its name when it is whole."""
    rows(3).to_csv(tmp_path / "in.csv", sep=";", index=False)
    out = tmp_path / "out.csv"
    out.write_text("of before")

    def half(path: Path, columns: object) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(prediction_file, "write_table", half)
    with pytest.raises(KeyboardInterrupt):
        predict_file(loaded, CONFIG, tmp_path / "in.csv", out)
    assert out.read_text() == "of before"


def test_a_version_of_before_is_read_as_the_contract_says(
    loaded: LoadedVersion, make_toy: Callable[..., Toy], tmp_path: Path
) -> None:
    """Its manifest has no types, so those of the model's contract of now are taken."""
    toy = make_toy()
    toy.write_model(model_file("binary").replace("b: float", "b: int"))
    before = loaded.manifest.model_copy(update={"feature_types": None})
    old = replace(loaded, manifest=before)
    (tmp_path / "in.csv").write_text("a,b\n1,2\n")
    assert predict_file(old, toy.config, tmp_path / "in.csv", tmp_path / "out.csv") == 1
    (tmp_path / "in.csv").write_text("a,b\n1,2.5\n")
    with pytest.raises(DataRejected, match=r"line 2, not of type int"):
        predict_file(old, toy.config, tmp_path / "in.csv", tmp_path / "out.csv")


KINDS = {
    "t": ("str", "str", ["u", "v"]),
    "c": ("pd.CategoricalDtype", "category[str]", ["p", "q"]),
    "d": ("pd.Timestamp", "datetime64[ns]", ["2026-01-01", "2026-01-02"]),
    "k": ("bool", "bool", [True, False]),
    "n": ("pd.Int64Dtype = pa.Field(nullable=True)", "Int64", [1, None]),
    "w": (
        'Annotated[pd.DatetimeTZDtype, "us", "UTC"]',
        "datetime64[us, UTC]",
        ["2026-01-01 00:00Z"] * 2,
    ),
}
"""By column: what the contract says, what the manifest holds, and two cells."""
PLAIN = """
class Plain(ClassifierMixin, BaseEstimator):
    def fit(self, rows, labels):
        self.classes_ = np.unique(labels)
        self.types_ = [str(dtype) for dtype in rows.dtypes]
        return self

    def predict(self, rows):
        if [str(dtype) for dtype in rows.dtypes] != self.types_:
            raise TypeError
        return self.classes_[(rows["a"] > 0).astype(int)]
"""


def test_a_file_is_read_as_the_types_of_the_training(
    make_toy: Callable[..., Toy], tmp_path: Path
) -> None:
    """Whatever type the contract gives to a column, the model gets the one that it learnt from."""
    toy = make_toy(gates={"metric": "accuracy"})
    declared = "".join(f"    {name}: {kind}\n" for name, (kind, _, _) in KINDS.items())
    text = model_file("binary", "Plain()", more=PLAIN)
    text = text.replace('("a", "b")', str(("a", "b", *KINDS)))
    text = text.replace("import numpy as np", "import numpy as np, pandas as pd")
    text = text.replace("    b: float\n", f"    b: float\n{declared}")
    toy.write_model(f"from typing import Annotated\n{text}")
    frame = make_frame("binary")
    cells = {name: pd.Series(two * 200, dtype=object) for name, (_, _, two) in KINDS.items()}
    toy.deliver(frame.assign(**cells), as_csv=True)
    toy.changes["training"] = {"trusted_types": [f"include.models.{toy.name}.Plain"]}
    version = toy.train(toy.plan()).version
    loaded = load_version(toy.store, toy.name, version, trusted=toy.config.training.trusted)
    recorded = [recorded for _, recorded, _ in KINDS.values()]
    assert loaded.manifest.feature_types == ("float64", "float64", *recorded)
    known = {"c": Categories(values=("p", "q"), ordered=False)}
    assert loaded.manifest.feature_categories == known
    frame.assign(**cells).to_csv(tmp_path / "in.csv", index=False)
    assert predict_file(loaded, toy.config, tmp_path / "in.csv", tmp_path / "out.csv") == 400
    frame.assign(**cells).assign(k="yes").to_csv(tmp_path / "in.csv", index=False)
    with pytest.raises(DataRejected, match=r"k: .*in\.csv: 400 cells, the first in line 2, not of"):
        predict_file(loaded, toy.config, tmp_path / "in.csv", tmp_path / "out.csv")
