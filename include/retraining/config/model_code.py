"""What a model's Python file and the folder of its scripts define, loaded and checked.

A model's file, `include/models/NAME.py`, defines `Contract` (a pandera `DataFrameModel` or
`DataFrameSchema`), `FEATURES` (the columns the model reads, in order) and the entry point that its
YAML names. A model in another language has scripts in the folder `include/models/NAME/` instead of
an entry point.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from include.retraining.config.contract_forms import Contract, contract_of, lost_columns
from include.retraining.config.extras import check_installed
from include.retraining.config.model import ModelConfig, TimeSplit
from include.retraining.config.model_import import import_model
from include.retraining.config.model_libraries import how_to_name, unpinned_libraries
from include.retraining.config.model_sources import model_file
from include.retraining.config.scorers import Scorer, load_scorers
from include.retraining.exceptions import ConfigError
from include.retraining.formatting.text import truncate
from include.retraining.plain_files import SAFE_PATH, plain_files

MAX_SHOWN = 3
"""Of columns with the same mistake, as many are named."""


@dataclass(frozen=True)
class ModelCode:
    """What a model's Python file defines."""

    contract: Contract
    """The data contract."""
    features: tuple[str, ...]
    """The columns the model reads, in order."""
    build_estimator: Callable[[int], Any] | None
    """Returns an unfitted scikit-learn estimator for a seed; None where commands train."""
    scorers: Mapping[str, Scorer] = field(default_factory=dict)
    """Of the model's own metrics, by the metric's name."""


def load_model_code(config: ModelConfig) -> ModelCode:
    """Import a model's Python file and check what it defines.

    Raises:
        ConfigError: every problem, a line each: the file, what is wrong, what it must define. Also
            when a library of its extras is not installed here, or it imports one of no lock.
    """
    where = f"include/models/{config.name}.py"
    model_file(config.name)
    try:
        check_installed(config.training.extras)
    except ConfigError as error:
        raise ConfigError(f"include/models/{config.name}.yaml: {error}") from error
    try:
        module = import_model(config.name)
    except Exception as error:
        text = truncate(str(error), 300)
        if isinstance(error, ModuleNotFoundError) and error.name and "." not in error.name:
            text = f"{text}: {how_to_name(error.name)}"
        raise ConfigError(f"{where}: cannot be imported: {type(error).__name__}: {text}") from error
    if unpinned := list(unpinned_libraries(config)):
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in unpinned))
    return code_of(module, config)


def code_of(module: ModuleType, config: ModelConfig) -> ModelCode:
    """Return what a model's module defines, checked.

    Raises:
        ConfigError: as `load_model_code`.
    """
    where = f"include/models/{config.name}.py"
    contract = contract_of(getattr(module, "Contract", None))
    problems = list(_problems(module, config))
    if contract is None:
        problems.insert(0, "must define `Contract`, a pandera DataFrameModel or DataFrameSchema")
    if problems or contract is None:
        raise ConfigError("\n".join(f"{where}: {problem}" for problem in problems))
    features, entry_point = tuple(module.FEATURES), config.training.entry_point
    scorers = load_scorers(config)
    if entry_point is None:
        check_scripts(config, features)
        return ModelCode(contract, features, None, scorers)
    return ModelCode(contract, features, getattr(module, entry_point), scorers)


def _problems(module: ModuleType, config: ModelConfig) -> Iterator[str]:
    """Yield what is wrong with what a model's Python file defines."""
    contract = getattr(module, "Contract", None)
    lost = [] if contract_of(contract) is None else list(lost_columns(contract))
    if lost:
        names = ", ".join(lost[:MAX_SHOWN])
        more = f" and {len(lost) - MAX_SHOWN:,} more" if len(lost) > MAX_SHOWN else ""
        yield (
            f"Contract: pandera does not know {names}{more}, although the class is annotated with "
            "them: each column needs a `pa.Field()` of its own, made in the body of the class; for "
            "many columns take a pattern or a `pa.DataFrameSchema` (docs/contract.md)"
        )
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
    from include.retraining.config.command_protocol import RESERVED, ROW

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
        reserved = RESERVED[commands.format]
        if name.partition("/")[0] in reserved:
            raise ConfigError(
                f"{where}/{name}: {', '.join(sorted(reserved))} are names of what a command is "
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


def training_columns(config: ModelConfig, code: ModelCode) -> list[str]:
    """Return the columns that training reads: no other column can leak into a model."""
    return list(dict.fromkeys((*dividing_columns(config), *code.features)))


def dividing_columns(config: ModelConfig) -> list[str]:
    """Return key, label, and for a split by time its column: of every row, whatever its side."""
    data = config.data
    time_column = (data.split.column,) if isinstance(data.split, TimeSplit) else ()
    return list(dict.fromkeys((data.key, data.label, *time_column)))
