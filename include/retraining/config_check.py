"""What a model's YAML and Python file say that cannot work, found before the first run.

`parse_model` checks the YAML by itself and `load_model_code` the Python file; here the two are held
against each other, and the schedule against the clock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from include.retraining.code import ModelCode, load_model_code
from include.retraining.config import (
    MODELS_FOLDER,
    ModelConfig,
    TimeSplit,
    load_model,
    parse_model,
)
from include.retraining.config_gates import gate_warnings
from include.retraining.exceptions import ConfigError, NotFound
from include.retraining.storage import URI_VARIABLE

REMOTE = ("batch", "kubernetes")


@dataclass(frozen=True)
class Checked:
    """What was found about one model."""

    where: str
    """Its file."""
    problems: tuple[str, ...] = ()
    """What cannot work, a line each, with file and field."""
    warnings: tuple[str, ...] = ()
    """What works and may not be meant."""


def check_model(name: str, where: str) -> Checked:
    """Check an installed model: its YAML, its Python file, and the one against the other.

    Args:
        name: the model's.
        where: what to call it.
    """
    try:
        config = load_model(name)
    except (ConfigError, NotFound) as error:
        return Checked(where, tuple(str(error).split("\n")))
    warnings = tuple(_warnings(config))
    problems = [f"include/models/{name}.yaml: {line}" for line in schedule_problems(config)]
    try:
        code = load_model_code(config)
    except ConfigError as error:
        return Checked(where, (*problems, *str(error).split("\n")), warnings)
    return Checked(where, (*problems, *contract_problems(config, code)), warnings)


def check_file(path: Path) -> Checked:
    """Check a YAML that lies elsewhere: by itself, for no Python file belongs to it."""
    try:
        config = parse_model(read_text(path), where=str(path))
    except ConfigError as error:
        return Checked(str(path), tuple(str(error).split("\n")))
    problems = tuple(f"{path}: {line}" for line in schedule_problems(config))
    return Checked(str(path), problems, tuple(_warnings(config)))


def check(file: Path) -> Checked:
    """Check what a person named: a model, its file, or a file elsewhere."""
    if file.resolve().parent == MODELS_FOLDER.resolve():
        return check_model(file.stem, str(file))
    if not file.exists() and not file.suffix and len(file.parts) == 1:
        return check_model(file.name, f"include/models/{file.name}.yaml")
    return check_file(file)


def schedule_problems(config: ModelConfig) -> Iterator[str]:
    """Yield what is wrong with the schedule, where Airflow's own reader of it is installed."""
    if config.trigger.schedule is None or find_spec("croniter") is None:
        return
    from include.retraining.cron import schedule_problem

    problem = schedule_problem(config.trigger.schedule)
    if problem is not None:
        yield f"trigger.schedule: {problem}"


def contract_problems(config: ModelConfig, code: ModelCode) -> Iterator[str]:
    """Yield what is wrong with the contract, and each named column that it does not declare.

    A run would tell it too, once a delivery is there and was read.
    """
    from include.retraining.contract import expectations  # pandas and pandera

    where = f"include/models/{config.name}"
    try:
        declared = dict(code.contract.to_schema().columns)
    except Exception as error:  # noqa: BLE001 pandera raises whatever the class leads it to
        yield f"{where}.py: Contract: is not valid: {type(error).__name__}"
        return
    patterns = [name for name, column in declared.items() if column.regex]
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"{where}.py: Contract: {pattern!r} is no regular expression: {error}"
            return
    is_complete = True
    for field, column in _named_columns(config, code):
        if column in declared or any(re.match(pattern, column) for pattern in patterns):
            continue
        is_complete = False
        near = get_close_matches(column, declared, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        file = f"{where}.py: FEATURES" if field == "FEATURES" else f"{where}.yaml: {field}"
        yield f"{file}: the contract does not declare {column!r}{hint}"
    if is_complete:
        try:
            expectations(config, code, run_date=datetime.now(UTC).date(), earlier_rows=())
        except ConfigError as error:
            yield str(error)


def _named_columns(config: ModelConfig, code: ModelCode) -> Iterator[tuple[str, str]]:
    """Yield every column that must be in a delivery, after the field that names it."""
    data = config.data
    yield "data.key", data.key
    yield "data.label", data.label
    if isinstance(data.split, TimeSplit):
        yield "data.split.column", data.split.column
    if data.freshness is not None:
        yield "data.freshness.column", data.freshness.column
    for attribute in data.protected:
        field = "column" if attribute.column is not None else "one_hot"
        for column in attribute.columns:
            yield f"data.protected.{attribute.name}.{field}", column
    for number, rule in enumerate(config.gates.slices):
        yield f"gates.slices.{number}.column", rule.column
    for column in code.features:
        yield "FEATURES", column


def _warnings(config: ModelConfig) -> Iterator[str]:
    """Yield what works and may not be meant."""
    if config.trigger.schedule is not None and find_spec("croniter") is None:
        yield "trigger.schedule: not checked: croniter, by which Airflow reads it, is not installed"
    yield from gate_warnings(config)
    store = os.environ.get(URI_VARIABLE, "")
    elsewhere = [step for step, used in config.compute if getattr(used, "backend", "") in REMOTE]
    if store.startswith("file://") and elsewhere:
        yield (
            f"compute.{elsewhere[0]}: a job that runs elsewhere does not see {store}, the store "
            f"that {URI_VARIABLE} names"
        )


def read_text(path: Path) -> str:
    """Return what a file that a person named holds.

    Raises:
        ConfigError: when it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
