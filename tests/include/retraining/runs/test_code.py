from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path

import pytest

import include.retraining
from include.retraining.config.model_code import load_model_code
from include.retraining.documents import sha256_of
from include.retraining.exceptions import CodeChanged, ConfigError
from include.retraining.runs import code
from include.retraining.runs.code import (
    check_same_code,
    current_code,
    judging_digest,
    training_digest,
)
from tests.support import apples

pytest_plugins = ("tests.support.apples_fixtures",)

ROOT = Path(include.retraining.__file__).parents[2]
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
    assert current.lock_digest == sha256_of((code.CORE_FOLDER / code.JOBS_LOCK).read_bytes())
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


def both(model: str = "apples") -> tuple[str, str]:
    """Return what a model is trained by and what it is judged by."""
    return training_digest(model), judging_digest()


REACHED_BY_NEITHER = [
    "alerts/decision_notice.py",
    "cli/tables.py",
    "history/overview.py",
    "watch/conditions.py",
    "rollback/plan.py",
    "model_card/render.py",
    "maintenance/gc.py",
    "registry/promotion.py",
    "steps/plan.py",
    "steps/close_run.py",
    "__main__.py",
    "requirements.txt",
]
JUDGING = [
    "gate/rules.py",
    "evaluation/comparison.py",
    "decisions/evidence.py",
    "steps/evaluate.py",
    "steps/decide.py",
    "evaluation/requirements.txt",
]
TRAINING = [
    "training/fitting.py",
    "data/split.py",
    "runs/manifest.py",
    "store/object_store.py",
    "config/model.py",
    "documents.py",
    "steps/train.py",
    "training/requirements.txt",
]


def change(file: Path) -> None:
    """Let a file do something else."""
    with file.open("a") as end:
        end.write("\nnumpy==99\n" if file.suffix == ".txt" else "\nCHANGED = 1\n")


@pytest.mark.parametrize("name", REACHED_BY_NEITHER)
def test_what_a_fit_and_a_judgement_cannot_reach_changes_neither(
    core: Path, apples_file: Path, name: str
):
    """An alert's text, a page or a command retrains nothing, and judges nothing again."""
    before = both()
    change(core / name)
    assert both() == before


@pytest.mark.parametrize("name", JUDGING)
def test_what_judges_is_judged_by(core: Path, apples_file: Path, name: str):
    """A changed gate judges again, and does not train again."""
    trained, judged = both()
    change(core / name)
    assert training_digest("apples") == trained
    assert judging_digest() != judged


@pytest.mark.parametrize("name", TRAINING)
def test_what_trains_is_trained_by(core: Path, apples_file: Path, name: str):
    """A changed trainer trains again."""
    trained, _ = both()
    change(core / name)
    assert training_digest("apples") != trained


def test_a_model_is_trained_by_its_own_file(core: Path, apples_file: Path):
    """Its statements count, its comments do not."""
    trained, judged = both()
    apples_file.write_text(f"# a note\n{apples_file.read_text()}")
    assert both() == (trained, judged)
    change(apples_file)
    assert training_digest("apples") != trained
    assert judging_digest() == judged


@pytest.mark.parametrize("name", [*TRAINING, *JUDGING])
def test_comments_docstrings_and_layout_change_neither(core: Path, apples_file: Path, name: str):
    """Only what runs counts; of a lock, only what it installs."""
    before = both()
    text = (core / name).read_text()
    if name.endswith(".py"):
        first, _, rest = text.partition('"""\n')
        text = f'{first} More words."""\n\n\n# A note.\n{rest}'
    else:
        text = f"# A note.\n{text}    # via somebody\n"
    (core / name).write_text(text)
    assert both() == before


def test_what_trains_is_what_the_contract_of_the_rooms_puts_below_it():
    """The digest covers the room `training`, each room below it, and the files on the ground."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (
        one["layers"]
        for one in settings["tool"]["importlinter"]["contracts"]
        if one.get("containers") == ["include.retraining"]
    )
    (height,) = (place for place, layer in enumerate(layers) if "training" in layer)
    below = {name for layer in layers[height + 1 :] for name in layer.split(" | ")}
    covered = {part.removesuffix(".py") for part in code.TRAINS if part != "steps/train.py"}
    assert covered == {"training", *below}


def test_the_locks_hold_the_same_versions():
    """A job installs what its fit and its judgement are counted by."""
    installed = pins(code.CORE_FOLDER / "requirements.txt")
    for name in ("training", "evaluation"):
        counted = pins(code.CORE_FOLDER / name / "requirements.txt")
        assert len(counted) > 15
        assert counted <= installed


def pins(lock: Path) -> set[str]:
    """Return the versions that a lock names."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return {line.split(" ")[0] for line in lines if "==" in line and line[0].isalpha()}
