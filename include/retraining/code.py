"""The code a run uses: its digests, and the three things a model's Python file defines.

A model's file, `include/models/NAME.py`, defines `Contract` (a pandera `DataFrameModel`),
`FEATURES` (the columns the model reads, in order) and the entry point that its YAML names. A model
in another language has scripts in the folder `include/models/NAME/` instead of an entry point.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from include.retraining.config import ModelConfig
from include.retraining.documents import canonical_json, sha256_of
from include.retraining.exceptions import CodeChanged, ConfigError
from include.retraining.manifest import Code
from include.retraining.model_sources import model_file, model_sources
from include.retraining.plain_files import SAFE_PATH, plain_files

CORE_FOLDER = Path(__file__).parent
TRAINING_LOCK = CORE_FOLDER / "requirements.txt"


@dataclass(frozen=True)
class ModelCode:
    """What a model's Python file defines."""

    contract: type[Any]
    """The data contract: a pandera `DataFrameModel`."""
    features: tuple[str, ...]
    """The columns the model reads, in order."""
    build_estimator: Callable[[int], Any] | None
    """Returns an unfitted scikit-learn estimator for a seed; None where commands train."""


def current_code(model: str, *, git_sha: str | None = None, image: str | None = None) -> Code:
    """Return the digests of the code that this process would use for a model.

    Args:
        model: the model's name.
        git_sha: the commit, where the caller knows it. Recorded only.
        image: the image, where the caller knows it. Recorded only.

    Raises:
        ConfigError: when the model has no Python file, or a link among its scripts.
    """
    return Code(
        core_digest=_core_digest(),
        model_digest=_model_digest(model),
        lock_digest=sha256_of(TRAINING_LOCK.read_bytes()),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        git_sha=git_sha,
        image=image,
    )


def check_same_code(planned: Code, model: str, *, trains: bool = True) -> None:
    """Refuse to work with other code than a run was planned with.

    Args:
        planned: what the run pinned.
        model: the model's name.
        trains: whether this process trains; only then must it run the Python that was planned,
            because the other steps may run in another image.

    Raises:
        CodeChanged: naming what differs.
    """
    current = current_code(model)
    folder = f" or include/models/{model}/" if read_scripts(model) else ""
    names = {
        "core_digest": "include/retraining/",
        "model_digest": f"include/models/{model}.py{folder}",
        "lock_digest": "include/retraining/requirements.txt",
        "python": "the Python version",
    }
    changed = [
        name
        for field, name in names.items()
        if getattr(current, field) != getattr(planned, field) and (trains or field != "python")
    ]
    if changed:
        raise CodeChanged(
            f"{' and '.join(changed)} changed since the run was planned (commit "
            f"{planned.git_sha or 'unknown'}): clear the run from plan_run on, so that it is "
            "planned again; an image must be built anew from the commit that is planned with"
        )


def load_model_code(config: ModelConfig) -> ModelCode:
    """Import a model's Python file and check what it defines.

    Raises:
        ConfigError: every problem, a line each: the file, what is wrong, what it must define.
    """
    where = f"include/models/{config.name}.py"
    model_file(config.name)
    try:
        module = importlib.import_module(f"include.models.{config.name}")
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        raise ConfigError(f"{where}: cannot be imported: {type(error).__name__}: {text}") from error
    problems = list(_problems(module, config))
    if problems:
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in problems))
    features, entry_point = tuple(module.FEATURES), config.training.entry_point
    if entry_point is None:
        check_scripts(config, features)
        return ModelCode(module.Contract, features, None)
    return ModelCode(module.Contract, features, getattr(module, entry_point))


def _problems(module: ModuleType, config: ModelConfig) -> Iterator[str]:
    """Yield what is wrong with what a model's Python file defines."""
    contract = getattr(module, "Contract", None)
    if not (isinstance(contract, type) and hasattr(contract, "to_schema")):
        yield "must define `Contract`, a pandera DataFrameModel"
    yield from _feature_problems(getattr(module, "FEATURES", None), config)
    entry_point = config.training.entry_point
    if entry_point is not None and not callable(getattr(module, entry_point, None)):
        yield (
            f"must define the function {entry_point!r} that training.entry_point of "
            f"{config.name}.yaml names"
        )


def read_scripts(model: str) -> dict[str, bytes]:
    """Return the files in the folder of a model's name, by their path in it.

    Hidden files and bytecode are none of them; without a folder there are none.

    Raises:
        ConfigError: for a link, a special file, or a name that is not plain.
    """
    folder = model_file(model).with_suffix("")
    where = f"include/models/{model}"
    try:
        names = plain_files(folder, skip=lambda name: name[0] == "." or name == "__pycache__")
    except ValueError as error:
        raise ConfigError(f"{where}/{error}") from error
    for name in names:
        if not re.fullmatch(SAFE_PATH, name):
            raise ConfigError(
                f"{where}/{name}: a name begins with a letter or a digit and has letters, digits "
                "and '_.-'"
            )
    return {name: (folder / name).read_bytes() for name in names}


def check_scripts(config: ModelConfig, features: tuple[str, ...]) -> None:
    """Check that the commands of a model find their scripts and do not clash with their data.

    Raises:
        ConfigError: naming the command or the file, and what is allowed.
    """
    from include.retraining.task_files import RESERVED, ROW

    commands, scripts = config.training.commands, read_scripts(config.name)
    assert commands is not None  # noqa: S101 there is no entry point
    where = f"include/models/{config.name}"
    for task, command in (("train", commands.train), ("predict", commands.predict)):
        if not set(command) & set(scripts):
            raise ConfigError(
                f"{where}.yaml: training.commands.{task}: {' '.join(command)!r} names no file of "
                f"{where}/ (there are: {', '.join(scripts) or 'none'})"
            )
    for name in scripts:
        if name.partition("/")[0] in RESERVED:
            raise ConfigError(
                f"{where}/{name}: {', '.join(sorted(RESERVED))} are names of what a command is "
                "given and makes: name it otherwise"
            )
    if ROW in features:
        raise ConfigError(f"{where}.py: FEATURES: {ROW!r} is the column that numbers the rows")


def _feature_problems(features: Any, config: ModelConfig) -> Iterator[str]:
    if (
        not isinstance(features, tuple | list)
        or not features
        or not all(isinstance(name, str) for name in features)
    ):
        yield "must define `FEATURES`, a tuple of column names"
        return
    if len(set(features)) != len(features):
        yield "FEATURES: a column is named twice"
    data = config.data
    reasons = {
        **dict.fromkeys(data.never_features, "gives the label away (data.never_features)"),
        **dict.fromkeys(config.protected_columns, "is protected: it is audited, never used"),
        data.label: "is the label",
        data.key: "is the key",
    }
    for name in dict.fromkeys(features):
        if name in reasons:
            yield f"FEATURES: {name!r} {reasons[name]}"


def _model_digest(model: str) -> str:
    """Return one digest of a model's file, of what it imports beside it, of its folder."""
    sources = model_sources(model)
    scripts = read_scripts(model)
    if not scripts and len(sources) == 1:
        return sha256_of(sources[f"{model}.py"])
    digests = [
        *((name, sha256_of(data)) for name, data in sources.items()),
        *((f"{model}/{name}", sha256_of(data)) for name, data in scripts.items()),
    ]
    return hashlib.sha256(canonical_json(sorted(digests))).hexdigest()


def _core_digest() -> str:
    files = [*sorted(CORE_FOLDER.rglob("*.py")), TRAINING_LOCK]
    digests = [
        (path.relative_to(CORE_FOLDER).as_posix(), sha256_of(path.read_bytes())) for path in files
    ]
    return hashlib.sha256(canonical_json(sorted(digests))).hexdigest()
