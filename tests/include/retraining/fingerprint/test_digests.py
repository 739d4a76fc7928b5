from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

import include.retraining
from include.retraining.config.model_code import load_model_code
from include.retraining.documents import sha256_of
from include.retraining.exceptions import CodeChanged, ConfigError
from include.retraining.fingerprint import digests
from include.retraining.fingerprint.digests import (
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
    assert current.lock_digest == sha256_of((digests.CORE_FOLDER / digests.JOBS_LOCK).read_bytes())
    assert current.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert (current.git_sha, current.image) == ("abc", "training:1")


def test_files_that_are_known_byte_for_byte_are_not_parsed_again(core: Path, apples_file: Path):
    """Their digests of meaning are an earlier run's; with one byte more they are made anew."""
    planned = current_code("apples")
    known = planned.model_copy(update={"training_digest": "t" * 64, "judging_digest": "j" * 64})
    same = current_code("apples", known=known)
    assert (same.training_digest, same.judging_digest) == ("t" * 64, "j" * 64)
    with (core / "gate" / "rules.py").open("a", encoding="utf-8") as file:
        file.write("# a comment\n")
    other = current_code("apples", known=known)
    assert other.core_digest != known.core_digest
    assert (other.training_digest, other.judging_digest) == (
        planned.training_digest,
        planned.judging_digest,
    )


def test_finding_a_models_file_does_not_run_it(apples_file: Path):
    """Planning reads the file, and imports nothing of it."""
    apples_file.write_text("raise SystemExit")
    assert current_code("apples").model_digest == sha256_of(b"raise SystemExit")
    assert "include.models.apples" not in sys.modules


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the core that may be changed."""
    copy = tmp_path / "core"
    shutil.copytree(digests.CORE_FOLDER, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(digests, "CORE_FOLDER", copy)
    return copy


def test_the_whole_core_is_digested() -> None:
    """The folder that is digested is the core's own, and not that of one of its rooms."""
    assert Path(include.retraining.__file__).parent == digests.CORE_FOLDER
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


def test_the_same_code_under_another_name_trains_the_same(apples_file: Path):
    """A copy of a model is trained by the same code: its name is not part of it."""
    copy = apples_file.with_name("pears.py")
    copy.write_bytes(apples_file.read_bytes())
    assert training_digest("pears") == training_digest("apples")
    change(copy)
    assert training_digest("pears") != training_digest("apples")


REACHED_BY_NEITHER = [
    "notifications/decision_notice.py",
    "cli/tables.py",
    "history/overview.py",
    "watch/conditions.py",
    "rollback/plan.py",
    "model_card/render.py",
    "model_card/card.md.jinja",
    "notifications/approval_request.md.jinja",
    "maintenance/gc.py",
    "steps/plan.py",
    "steps/close_run.py",
    "__main__.py",
    "requirements.txt",
]
JUDGING = [
    "gate/rules.py",
    "evaluation/comparison.py",
    "decisions/evidence.py",
    "registry/promotion_log.py",
    "steps/validate.py",
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
    "__init__.py",
    "registry/versions.py",
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
    covered = {part.removesuffix(".py") for part in digests.TRAINS if "/" not in part}
    assert covered == {"__init__", "training", *below}


def reached_from(*steps: str) -> set[str]:
    """Return the files that steps import, directly or not, by path in the core."""
    graph = grimp.build_graph("include", cache_dir=None)
    waiting = [f"include.retraining.steps.{step}" for step in steps]
    reached: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += graph.find_modules_directly_imported_by(module)
    core = "include.retraining."
    return {
        f"{module.removeprefix(core).replace('.', '/')}.py"
        for module in reached
        if module.startswith(core)
    }


def beside(files: set[str], parts: tuple[str, ...]) -> set[str]:
    """Return the files that are none of some parts of the core."""
    return {file for file in files if file not in parts and file.split("/")[0] not in parts}


def test_all_that_a_fit_imports_is_counted():
    """Imports inside functions and for types included: what trains is what can be reached."""
    reached = reached_from("train")
    assert len(reached) > 40
    assert beside(reached, digests.TRAINS) == set()


def test_all_that_a_judgement_imports_is_counted():
    """But for what writes the record and the messages after it."""
    reached = reached_from("validate", "evaluate", "decide")
    assert len(reached) > 80
    beyond = beside(reached, digests.TRAINS + digests.JUDGES)
    assert {file.split("/")[0] for file in beyond} == {"notifications", "steps"}
    assert {file for file in beyond if file.startswith("steps/")} == {"steps/close_run.py"}


@pytest.mark.parametrize("part", [*digests.TRAINS, *digests.JUDGES])
def test_a_part_that_is_counted_is_there(part: str):
    """None was renamed without being renamed here."""
    place = digests.CORE_FOLDER / part
    assert place.is_file() if part.endswith(".py") else list(place.glob("*.py"))


@pytest.mark.parametrize("name", ["training/new.py", "data/deep/new.py", "config/words.json"])
def test_a_new_file_of_a_room_counts(core: Path, apples_file: Path, name: str):
    """Whatever code in it may read, Python or not, at any depth."""
    trained, _ = both()
    (core / name).parent.mkdir(exist_ok=True)
    (core / name).write_text("1\n")
    assert training_digest("apples") != trained


def test_a_new_file_above_the_line_does_not_count(core: Path, apples_file: Path):
    """A new command or page, a note and litter change neither, wherever they lie."""
    before = both()
    (core / "cli" / "new.py").write_text("1\n")
    for name in ("notes.md", ".words.swp", "old.cpython-311.pyc"):
        (core / "training" / name).write_text("1\n")
        (core / "gate" / name).write_text("1\n")
    assert both() == before


def test_a_template_of_the_core_is_other_code(core: Path, apples_file: Path):
    """Within one run a document's template is the very same as well."""
    planned = current_code("apples")
    (core / "model_card" / "card.jinja").write_text("{{ version }}")
    with pytest.raises(CodeChanged, match="include/retraining/ changed"):
        check_same_code(planned, "apples")


@pytest.mark.parametrize(
    "line",
    [
        "from include.retraining.evaluation.metrics import score",
        "from include.retraining import evaluation",
        "from ..retraining.evaluation import metrics",
        "def f():\n    import include.retraining.evaluation.metrics as m",
    ],
)
def test_a_model_that_reaches_above_the_line_is_trained_by_the_whole_core(
    core: Path, apples_file: Path, line: str
):
    """A model may use a scorer of ours: then what changes there can change the model."""
    apples_file.write_text(f"{apples.CODE}{line}\n")
    trained = training_digest("apples")
    change(core / "evaluation" / "metrics.py")
    assert training_digest("apples") != trained


def test_a_model_that_stays_below_the_line_is_not(core: Path, apples_file: Path):
    """What every fit reaches is counted already."""
    apples_file.write_text(f"{apples.CODE}from include.retraining.data.labels import is_class\n")
    trained = training_digest("apples")
    change(core / "evaluation" / "metrics.py")
    assert training_digest("apples") == trained


@pytest.mark.parametrize(
    ("old", "new", "counts"),
    [
        ("--hash=sha256:", "--hash=sha256:0", False),
        ("    # via", "    # via somebody and", False),
        ("numpy==", "numpy==9", True),
        ("numpy==", "numpy @ https://example.org/numpy.whl\nscipy==9", True),
    ],
)
def test_a_lock_counts_by_what_it_installs(
    core: Path, apples_file: Path, old: str, new: str, counts: bool
):
    """Other hashes of the same version, and who asks for it, change no model."""
    trained, lock = training_digest("apples"), core / "training" / "requirements.txt"
    assert old in lock.read_text()
    lock.write_text(lock.read_text().replace(old, new))
    assert (training_digest("apples") != trained) == counts


def test_the_locks_hold_the_same_versions():
    """A job installs what its fit and its judgement are counted by."""
    installed = pins(digests.CORE_FOLDER / "requirements.txt")
    for name in ("training", "evaluation"):
        counted = pins(digests.CORE_FOLDER / name / "requirements.txt")
        assert len(counted) > 15
        assert counted <= installed


def pins(lock: Path) -> set[str]:
    """Return the versions that a lock names."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return {line.split(" ")[0] for line in lines if "==" in line and line[0].isalpha()}
