from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import include.retraining
from include.retraining.config.model_code import load_model_code
from include.retraining.documents import sha256_of
from include.retraining.exceptions import CodeChanged, ConfigError
from include.retraining.runs import code
from include.retraining.runs.code import check_same_code, current_code
from tests.support import apples

pytest_plugins = ("tests.support.apples_fixtures",)

ROOMS = sorted(
    f"{file.parent.name}/{file.name}"
    for file in Path(include.retraining.__file__).parent.glob("*/__init__.py")
)


def test_a_models_code_is_what_its_file_defines(apples_file: Path):
    """Contract, features in order, and the function that the YAML names."""
    loaded = load_model_code(apples.config())
    assert loaded.features == ("weight", "colour")
    assert loaded.contract.__name__ == "Contract"
    assert loaded.build_estimator(3).random_state == 3


@pytest.mark.fault("B13")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "class Contract(pa.DataFrameModel)",
            "class Other(pa.DataFrameModel)",
            "define `Contract`",
        ),
        ("class Contract(pa.DataFrameModel)", "class Contract", "define `Contract`"),
        ("def build_estimator", "def build", "define the function 'build_estimator'"),
        ("FEATURES = ", "NAMES = ", "define `FEATURES`"),
        ('("weight", "colour")', "()", "define `FEATURES`"),
        ('("weight", "colour")', '"weight"', "define `FEATURES`"),
        ('("weight", "colour")', "(1, 2)", "define `FEATURES`"),
        ('("weight", "colour")', '("weight", "weight")', "named twice"),
        ('("weight", "colour")', '("weight", "sold")', "'sold' is the label"),
        ('("weight", "colour")', '("weight", "apple_id")', "'apple_id' is the key"),
        ('("weight", "colour")', '("weight", "origin")', "'origin' is protected"),
        ('("weight", "colour")', '("weight", "refund")', "'refund' gives the label away"),
        ("import pandera.pandas as pa", "import no_such_library", "cannot be imported: ModuleNotF"),
        (
            "def build_estimator(seed):",
            "def build_estimator(seed:",
            "cannot be imported: SyntaxErr",
        ),
        ("FEATURES = ", "FEATURES = 1 / 0, ", "cannot be imported: ZeroDivisionError"),
    ],
)
def test_a_models_file_that_lacks_something_is_told(
    apples_file: Path, old: str, new: str, message: str
):
    """What is missing or forbidden is named together with the file (B13)."""
    assert old in apples.CODE
    apples_file.write_text(apples.CODE.replace(old, new))
    with pytest.raises(ConfigError, match=r"include/models/apples\.py: ") as caught:
        load_model_code(apples.config())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.fault("B13")
def test_a_model_without_a_file_is_told():
    """A configuration alone is no model."""
    with pytest.raises(ConfigError, match=r"include/models/apples\.py: there is no such file"):
        load_model_code(apples.config())


def test_the_digests_follow_the_files(apples_file: Path):
    """The model's digest is that of its very file, and the lock's that of the training lock."""
    current = current_code("apples", git_sha="abc", image="training:1")
    assert current.model_digest == sha256_of(apples_file.read_bytes())
    assert current.lock_digest == sha256_of(code.TRAINING_LOCK.read_bytes())
    assert current.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (current.git_sha, current.image) == ("abc", "training:1")


def test_finding_a_models_file_does_not_run_it(apples_file: Path):
    """Planning reads the file, and imports nothing of it."""
    apples_file.write_text("raise SystemExit")
    assert current_code("apples").model_digest == sha256_of(b"raise SystemExit")
    assert "include.models.apples" not in sys.modules


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the core that may be changed."""
    copy = tmp_path / "core"
    shutil.copytree(code.CORE_FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "CORE_FOLDER", copy)
    monkeypatch.setattr(code, "TRAINING_LOCK", copy / "requirements.txt")
    return copy


def test_the_whole_core_is_digested() -> None:
    """The folder that is digested is the core's own, and not that of one of its rooms."""
    assert Path(include.retraining.__file__).parent == code.CORE_FOLDER
    assert len(ROOMS) >= 18


def test_only_code_and_lock_make_the_cores_digest(core: Path, apples_file: Path):
    """Bytecode, litter and notes beside the code do not change it; nor does its place."""
    planned = current_code("apples")
    (core / "__pycache__").mkdir()
    (core / "__pycache__" / "gate.cpython-311.pyc").write_bytes(b"x")
    (core / "notes.md").write_text("x")
    check_same_code(planned, "apples")


@pytest.mark.parametrize("name", ["__main__.py", *ROOMS, "new.py", "sub/new.py"])
def test_any_change_of_the_core_is_other_code(core: Path, apples_file: Path, name: str):
    """A file that changed, or that is new, at any depth, is told."""
    planned = current_code("apples", git_sha="abc123")
    (core / name).parent.mkdir(exist_ok=True)
    with (core / name).open("a") as file:
        file.write("# changed\n")
    with pytest.raises(CodeChanged, match=r"include/retraining/ changed .*abc123.* plan_run on"):
        check_same_code(planned, "apples")


def test_a_renamed_file_is_other_code(core: Path, apples_file: Path):
    """The names count as well as the content."""
    planned = current_code("apples")
    (core / "gate" / "rules.py").rename(core / "gate" / "ruling.py")
    with pytest.raises(CodeChanged):
        check_same_code(planned, "apples")


@pytest.mark.fault("B13")
def test_a_changed_lock_model_or_python_is_other_code(core: Path, apples_file: Path):
    """A job refuses another lock, another model file and another Python."""
    planned = current_code("apples")
    with pytest.raises(CodeChanged, match="the Python version changed"):
        check_same_code(planned.model_copy(update={"python": "3.10"}), "apples")
    apples_file.write_text("# other")
    with pytest.raises(CodeChanged, match=r"include/models/apples\.py changed"):
        check_same_code(planned, "apples")
    (core / "requirements.txt").write_text("numpy==1.0")
    with pytest.raises(CodeChanged, match=r"include/retraining/requirements\.txt"):
        check_same_code(planned, "apples")
