"""Mistakes in a model's YAML and Python file, found before the first run.

`parse_model` checks the YAML by itself and `load_model_code` the Python file; here the two are held
against each other, and the schedule against the clock.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from include.retraining.cli.config_gates import gate_warnings
from include.retraining.config.model import (
    MODELS_FOLDER,
    ModelConfig,
    TimeSplit,
    load_model,
    model_names,
    parse_model,
)
from include.retraining.config.model_code import ModelCode, load_model_code
from include.retraining.config.model_sources import model_file
from include.retraining.exceptions import ConfigError, NotFound
from include.retraining.formatting.text import truncate
from include.retraining.store.object_store import URI_VARIABLE

if TYPE_CHECKING:
    import pandera.pandas as pa

REMOTE = ("batch", "kubernetes", "lambda")


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
    warnings = (*_warnings(config), *_marks(name))
    problems = [
        f"include/models/{name}.yaml: {line}"
        for line in (
            *schedule_problems(config),
            *_unknown_models(config),
            *_shared_output(config),
        )
    ]
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
    """Check a model by its name, by its file, or in a file elsewhere."""
    if file.resolve().parent == MODELS_FOLDER.resolve():
        return check_model(file.stem, f"include/models/{file.name}")
    if not file.exists() and not file.suffix and len(file.parts) == 1:
        return check_model(file.name, f"include/models/{file.name}.yaml")
    return check_file(file)


def schedule_problems(config: ModelConfig) -> Iterator[str]:
    """Yield what is wrong with the schedule, where Airflow's own reader of it is installed."""
    if config.trigger.schedule is None or find_spec("croniter") is None:
        return
    from include.retraining.config.cron import schedule_problem

    problem = schedule_problem(config.trigger.schedule)
    if problem is not None:
        yield f"trigger.schedule: {problem}"


def _unknown_models(config: ModelConfig) -> Iterator[str]:
    """Yield assets that look like those of a model, and there is no such model.

    Of any other asset only Airflow knows whether a DAG declares it.
    """
    assets = () if config.trigger.on is None else config.trigger.on.assets
    for asset in assets:
        name, _, kind = asset.rpartition("_")
        known = model_names()
        if kind in {"champion", "delivery"} and "/" not in asset and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}_{kind}?)" if near else ""
            yield f"trigger.on.assets: {asset}: there is no model {name!r}{hint}"


def _shared_output(config: ModelConfig) -> Iterator[str]:
    """Yield which other models write their scores to the same folder: each would undo the other."""
    if config.scoring is None:
        return
    for name in model_names():
        try:
            other = load_model(name).scoring if name != config.name else None
        except ConfigError:  # reported where that model is checked
            continue
        if other is not None and _folder(other.output) == _folder(config.scoring.output):
            yield f"scoring.output: {config.scoring.output!r} is that of the model {name} too"


def _folder(output: str) -> str:
    """Return a whole address where the store is known."""
    store = os.environ.get(URI_VARIABLE, "").rstrip("/")
    return (output if "://" in output else f"{store}/{output}").rstrip("/")


def contract_problems(config: ModelConfig, code: ModelCode) -> Iterator[str]:
    """Yield what is wrong with the contract, and each named column that it does not declare.

    A run would report it too, once a delivery is there and was read.
    """
    from include.retraining.data.contract import forbidden_settings  # pandas and pandera
    from include.retraining.data.declared_columns import is_declared
    from include.retraining.data.frame_rules import unique_sets

    where = f"include/models/{config.name}"
    try:
        schema = code.contract.to_schema()
    except Exception as error:  # noqa: BLE001 pandera raises any error on a wrong class
        text = truncate(str(error), 300)
        yield f"{where}.py: Contract: is not valid: {type(error).__name__}: {text}"
        return
    yield from (f"{where}.py: Contract: {setting}" for setting in forbidden_settings(schema))
    unreadable = list(_unreadable_patterns(schema))
    yield from (f"{where}.py: Contract: {problem}" for problem in unreadable)
    if unreadable:  # what they stand for is unknown
        return
    named = [*_named_columns(config, code)]
    named += [("Contract", column) for columns in unique_sets(schema) for column in columns]
    for field, column in named:
        if not is_declared(schema, column):
            near = get_close_matches(column, schema.columns, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            is_code = field in {"FEATURES", "Contract"}
            file = f"{where}.py: {field}" if is_code else f"{where}.yaml: {field}"
            yield f"{file}: the contract does not declare {column!r}{hint}"
    yield from (f"{where}.yaml: data.positive: {line}" for line in _never_positive(config, schema))


def _unreadable_patterns(schema: pa.DataFrameSchema) -> Iterator[str]:
    """Yield what is wrong with the patterns that stand for columns."""
    for pattern, column in schema.columns.items():
        if column.regex:
            try:
                re.compile(pattern)
            except re.error as error:
                yield f"{pattern!r} is no regular expression: {error}"


def _never_positive(config: ModelConfig, schema: pa.DataFrameSchema) -> Iterator[str]:
    """Yield that the contract allows no row to be positive, where its `isin` says so."""
    from include.retraining.data.declared_columns import declared_columns
    from include.retraining.data.labels import class_names

    label, positive = config.data.label, config.data.positive
    declared = declared_columns(schema, [label]).get(label)
    if positive is None or declared is None:
        return
    for check in declared.checks:
        if check.registry_name == "isin":
            allowed = class_names(check.statistics["allowed_values"])
            if allowed and class_names([positive])[0] not in allowed:
                words = ", ".join(sorted(map(repr, allowed)))
                words = truncate(words, 200)
                yield f"is {positive!r}, and the contract allows {label!r} only {words}"


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


def _marks(name: str) -> Iterator[str]:
    """Warn of what `new` guessed or did not know, while it is marked."""
    try:
        python = model_file(name)
    except ConfigError:  # which is a problem, and reported as one
        return
    for path in (python.with_suffix(".yaml"), python):
        if not path.is_file():
            continue
        lines = read_text(path).split("\n")
        marked = [number for number, line in enumerate(lines, start=1) if "# CHECK" in line]
        if marked:
            count = "1 line is" if len(marked) == 1 else f"{len(marked)} lines are"
            yield (
                f"include/models/{path.name}: {count} marked CHECK, the first is line "
                f"{marked[0]}: confirm or correct each, and remove the mark"
            )


def read_text(path: Path) -> str:
    """Return the content of a file that the user named.

    Raises:
        ConfigError: when it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
