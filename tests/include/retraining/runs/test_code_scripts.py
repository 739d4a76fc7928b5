from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import include
from include.retraining.config.model import parse_model
from include.retraining.config.model_code import load_model_code, read_scripts
from include.retraining.documents import sha256_of
from include.retraining.exceptions import CodeChanged, ConfigError
from include.retraining.fingerprint.digests import check_same_code, current_code
from tests.support.toy_commands import commands, make_external
from tests.support.toy_models import Toy, model_file

MakeToy = Callable[..., Toy]

WITHOUT_ESTIMATOR = model_file("binary").partition("def build_estimator")[0]


@pytest.fixture
def toy(make_toy: MakeToy) -> Toy:
    """A model in another language; its Python file defines contract and features only."""
    made = make_toy()
    made.write_model(WITHOUT_ESTIMATOR)
    make_external(made)
    return made


@pytest.fixture
def folder(toy: Toy) -> Path:
    """The folder of its scripts."""
    return toy.models / toy.name


def digest(toy: Toy) -> str:
    """The digest of the model's code."""
    return current_code(toy.name).model_digest


def test_a_model_by_commands_needs_contract_and_features_only(toy: Toy):
    """No entry point is asked for, and none is there."""
    code = load_model_code(toy.config)
    assert code.build_estimator is None
    assert code.features == ("a", "b")


def test_the_python_file_wins_over_the_folder_beside_it(toy: Toy, folder: Path):
    """A folder of the same name hides nothing: the import and the digest mean the file."""
    assert folder.is_dir()
    importlib.invalidate_caches()
    module = importlib.import_module(f"include.models.{toy.name}")
    assert module.__file__ == str(toy.models / f"{toy.name}.py")
    assert module.FEATURES == ("a", "b")


def test_a_folder_that_would_hide_the_python_file_is_refused(toy: Toy, folder: Path):
    """A package of the model's name would be imported instead: it is told at once."""
    (folder / "__init__.py").write_text("")
    importlib.invalidate_caches()
    message = rf"{toy.name}/__init__\.py: it hides {toy.name}\.py"
    with pytest.raises(ConfigError, match=message):
        current_code(toy.name)
    with pytest.raises(ConfigError, match=message):
        load_model_code(toy.config)


def test_every_file_of_the_folder_is_the_models_code(toy: Toy, folder: Path):
    """A script that changed, that is new, at any depth, or that has another name, is told."""
    planned = current_code(toy.name)
    check_same_code(planned, toy.name)
    message = rf"include/models/{toy.name}\.py or include/models/{toy.name}/ changed"
    (folder / "lib").mkdir()
    (folder / "lib" / "more.R").write_text("x")
    with pytest.raises(CodeChanged, match=message):
        check_same_code(planned, toy.name)
    with_lib = digest(toy)
    (folder / "lib" / "more.R").rename(folder / "lib" / "most.R")
    assert digest(toy) not in {planned.model_digest, with_lib}
    (folder / "lib" / "most.R").unlink()
    assert digest(toy) == planned.model_digest
    (toy.models / f"{toy.name}.py").write_text(WITHOUT_ESTIMATOR + "\n")
    assert digest(toy) != planned.model_digest


def test_litter_in_the_folder_is_no_code(toy: Toy, folder: Path):
    """Bytecode and hidden files are neither counted nor given to a command, links or not."""
    before, scripts = digest(toy), read_scripts(toy.name)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "train.pyc").write_bytes(b"x")
    (folder / ".Rhistory").write_text("x")
    (folder / ".#train.py").symlink_to("nobody@nowhere")
    assert digest(toy) == before
    assert read_scripts(toy.name) == scripts
    assert set(scripts) == {"train.py", "predict.py"}


def test_without_a_folder_the_digest_is_that_of_the_file(make_toy: MakeToy):
    """A model in Python has the digest of its very file."""
    toy = make_toy()
    assert digest(toy) == sha256_of((toy.models / f"{toy.name}.py").read_bytes())
    assert read_scripts(toy.name) == {}


def test_names_of_format_1_are_free_in_format_2(toy: Toy, folder: Path):
    """There, what a command is given lies in one folder of its own."""
    make_external(toy, format=2)
    (folder / "train.csv").write_text("x")
    load_model_code(toy.config)
    (folder / "data").mkdir()
    (folder / "data" / "x").write_text("x")
    with pytest.raises(ConfigError, match=r"data/x: data, model, task\.json are names"):
        load_model_code(toy.config)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a b.R", "a b.R: a name begins with a letter or a digit"),
        ("-x", "-x: a name begins with a letter or a digit"),
        (
            "task.json",
            "task.json: model, predictions.csv, rows.csv, task.json, train.csv are names",
        ),
        ("model/weights", "model/weights: model, predictions.csv, rows.csv, task.json"),
    ],
)
def test_a_script_with_a_name_that_will_not_do_is_refused(
    toy: Toy, folder: Path, name: str, message: str
):
    """Names are plain, and none of those that a command's own files have."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("x")
    with pytest.raises(ConfigError) as caught:
        load_model_code(toy.config)
    assert str(caught.value).startswith(f"include/models/{toy.name}/{message}")


def test_a_link_among_the_scripts_is_refused(toy: Toy, folder: Path, tmp_path: Path):
    """What a link leads to is not what was reviewed."""
    (folder / "lib.R").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match=rf"include/models/{toy.name}/lib\.R: a link"):
        current_code(toy.name)


@pytest.mark.parametrize("task", ["train", "predict"])
def test_a_command_that_names_no_script_is_told(toy: Toy, task: str):
    """A slip in a script's name is found when the model is checked, with what there is."""
    toy.changes["training"]["commands"][task][-1] = "trian.py"
    with pytest.raises(ConfigError) as caught:
        load_model_code(toy.config)
    where = f"include/models/{toy.name}"
    text = str(caught.value)
    assert text.startswith(f"{where}.yaml: training.commands.{task}: ")
    assert text.endswith(f"names no file of {where}/ (there are: predict.py, train.py)")


def test_a_feature_named_as_the_rows_numbers_is_refused(toy: Toy):
    """The column `row` of what a command predicts is ours."""
    toy.write_model(WITHOUT_ESTIMATOR.replace('("a", "b")', '("a", "row")'))
    with pytest.raises(ConfigError, match="FEATURES: 'row' is the column that numbers the rows"):
        load_model_code(toy.config)


# What a model's file imports from another model is its code as well.


IMPORTS = [
    "from include.models.{other} import Contract, FEATURES",
    "from include.models import {other}",
    "import include.models.{other} as other",
    "from .{other} import Contract",
    "from . import {other}",
    "def late():\n    from include.models.{other} import Contract",
]


@pytest.mark.parametrize("line", IMPORTS)
def test_what_is_imported_from_another_model_is_the_models_code(make_toy: MakeToy, line: str):
    """A contract that two models share names the versions of both."""
    toy, other = make_toy(), make_toy()
    toy.write_model(model_file("binary") + line.format(other=other.name))
    before = digest(toy)
    other.write_model(model_file("binary") + "# changed\n")
    assert digest(toy) != before


@pytest.mark.parametrize(
    "line",
    [
        "from include.models.{package}.features import WANTED",
        "from include.models import {package}",
        "from .{package} import features",
        "from ..models.{package}.features import WANTED",
    ],
)
def test_a_package_of_helpers_is_the_code_of_who_imports_it(make_toy: MakeToy, line: str):
    """Each of its files counts, and what they import from other models; two models may share it."""
    toy, other = make_toy(), make_toy()
    package = toy.models / f"{toy.name}_helpers"
    package.mkdir()
    (package / "__init__.py").write_text("from . import features\n")
    features = package / "features.py"
    features.write_text(f"from ..{other.name} import Contract\nWANTED = ('a', 'b')\n")
    importlib.invalidate_caches()
    toy.write_model(model_file("binary") + line.format(package=package.name) + "\n")
    digests = [digest(toy)]
    other.write_model(model_file("binary") + "# changed\n")
    digests.append(digest(toy))
    features.write_text(features.read_text() + "# changed\n")
    digests.append(digest(toy))
    (package / "table.csv").write_text("1\n")
    digests.append(digest(toy))
    assert len(set(digests)) == len(digests)
    assert load_model_code(toy.config).features == ("a", "b")


def test_a_package_beside_the_models_is_the_code_of_who_imports_it(
    make_toy: MakeToy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """What a fork keeps below `include/` counts as well, and what that imports."""
    monkeypatch.setattr(include, "__path__", [*include.__path__, str(tmp_path)])
    toy = make_toy()
    (tmp_path / "our_words.py").write_text("WANTED = ('a', 'b')\n")
    package = tmp_path / "our_features"
    package.mkdir()
    (package / "__init__.py").write_text("from include.our_words import WANTED\n")
    importlib.invalidate_caches()
    toy.write_model(model_file("binary") + "from include.our_features import WANTED\n")
    planned = current_code(toy.name)
    (tmp_path / "our_words.py").write_text("WANTED = ('b', 'a')\n")
    now = current_code(toy.name)
    assert now.training_digest != planned.training_digest
    with pytest.raises(CodeChanged, match=rf"include/models/{toy.name}\.py"):
        check_same_code(planned, toy.name)
    (tmp_path / "our_words.py").unlink()
    with pytest.raises(ConfigError, match=r"include/our_words\.py: is imported, and there is no"):
        current_code(toy.name)


def test_a_package_without_a_model_is_no_model(make_toy: MakeToy):
    """It is called what it is: nothing is hidden by it."""
    toy = make_toy()
    package = toy.models / "only_helpers"
    package.mkdir()
    (package / "__init__.py").write_text("")
    importlib.invalidate_caches()
    with pytest.raises(ConfigError, match="is a package of helpers; a model is a file"):
        current_code("only_helpers")


def test_models_may_import_each_other_in_a_ring(make_toy: MakeToy):
    """Each file is read once."""
    toy, other = make_toy(), make_toy()
    toy.write_model(f"import include.models.{other.name}\n")
    other.write_model(f"import include.models.{toy.name}\n")
    before = digest(toy)
    other.write_model(f"import include.models.{toy.name}  # changed\n")
    assert digest(toy) != before


def test_an_import_of_no_model_is_told(make_toy: MakeToy):
    """A model that is not there is named when a run is planned."""
    toy = make_toy()
    toy.write_model("from include.models.nowhere import Contract\n")
    with pytest.raises(ConfigError, match=r"include/models/nowhere\.py: there is no such file"):
        current_code(toy.name)


def test_a_shared_contract_does_not_move_the_blame(make_toy: MakeToy):
    """An error of a model that imports its contract names the model's own file and line."""
    from include.retraining.exceptions import TrainingError

    toy, other = make_toy(), make_toy()
    own = f"from include.models.{other.name} import Contract, FEATURES\n"
    toy.write_model(own + "def build_estimator(seed):\n    return 1 / 0\n")
    with pytest.raises(TrainingError, match=rf"{toy.name}\.py line 3, in build_estimator"):
        toy.train(toy.plan())
    sys.modules.pop(f"include.models.{toy.name}", None)


# The YAML.


def errors(toy: Toy, training: object) -> str:
    """What is wrong with a YAML whose `training` is this."""
    values = toy.config.model_dump(mode="json")
    values["training"] = training
    with pytest.raises(ConfigError) as caught:
        parse_model(yaml.safe_dump(values), where="toy.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        (
            {"seed": 1, "entry_point": "build_estimator", "commands": commands()},
            "toy.yaml: training: give either `entry_point` (a Python function) or `commands`",
        ),
        ({"seed": 1, "commands": {"train": ["x"]}}, "training.commands.predict: is missing"),
        ({"seed": 1, "commands": {}}, "training.commands.train: is missing"),
        ({"seed": 1, "commands": {"train": [], "predict": ["x"]}}, "training.commands.train: "),
        ({"seed": 1, "commands": {"train": "Rscript x", "predict": ["x"]}}, "commands.train: "),
        ({"seed": 1, "commands": {"train": [""], "predict": ["x"]}}, "training.commands.train.0: "),
        ({"seed": 1, "commands": {"trian": ["x"]}}, "is not a field (did you mean 'train'?)"),
        ({"seed": 1, "entry_point": ""}, "training.entry_point: "),
        (
            {"seed": 1, "commands": commands(tables="arrow")},
            "training.commands: `tables: arrow` needs `format: 2`; format 1 is CSV",
        ),
        ({"seed": 1, "commands": commands(format=3)}, "training.commands.format: "),
        ({"seed": 1, "commands": commands(format=2, tables="feather")}, "commands.tables: "),
    ],
)
def test_a_training_that_says_too_much_or_too_little_is_refused(
    make_toy: MakeToy, training: object, message: str
):
    """The field and what is allowed are named."""
    assert message in errors(make_toy(), training)


def test_the_usual_entry_point_may_be_left_out(make_toy: MakeToy):
    """Saying it and leaving it out are the same training, and a dump reads back."""
    toy = make_toy()
    usual = toy.config
    assert usual.training.entry_point == "build_estimator"
    toy.changes = {"training": {"entry_point": "build_estimator"}}
    assert toy.config.training_view == usual.training_view
    make_external(toy)
    assert toy.config.training.entry_point is None
    read_back = type(usual).model_validate(toy.config.model_dump(mode="json"))
    assert read_back == toy.config


def test_commands_may_run_where_the_yaml_names_or_allows_them(make_toy: MakeToy):
    """Reviewed types are trusted as before; commands only on the YAML's word."""
    toy = make_toy(training={"trusted_types": ["x.Y"]})
    assert toy.config.training.trusted == ("x.Y",)
    toy.changes["training"]["allow_commands"] = True
    assert toy.config.training.trusted == ("x.Y", "command")
    make_external(toy)
    assert toy.config.training.trusted == ("command",)
