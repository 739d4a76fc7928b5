"""`new`: from a sample of its data to a model's files, or from a model to another like it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from include.retraining.config.model import MODELS_FOLDER
from include.retraining.scaffold.model_files import require_free_name, write_model_files
from include.retraining.scaffold.render import python_text, yaml_text
from include.retraining.scaffold.roles import Roles, guess_roles
from include.retraining.scaffold.sample import Sample, read_sample
from include.retraining.scaffold.sample_check import check_files

MIN_ROWS = 150
"""With fewer, a holdout has not even 45."""
NOT_KNOWN = (
    "owner: the team that answers for it",
    "schedule: when a run is due; until then it runs by request only",
    "gates: how good is of any use, and how far groups may differ",
    "whether a feature is known before the label is, when the model is asked",
    "whether the key names the same row in every delivery",
    "whether a number such as 999 stands for a missing one",
    "what the model is for, and what it must not be used for",
)
"""What no sample shows."""


@dataclass(frozen=True)
class NewModel:
    """What was written, and from what."""

    name: str
    written: tuple[str, ...]
    """The files, as paths from the repository's root."""
    guessed: tuple[str, ...]
    not_known: tuple[str, ...]


def new_model(
    name: str,
    data: Path,
    *,
    label: str | None = None,
    key: str | None = None,
    folder: Path = MODELS_FOLDER,
) -> NewModel:
    """Write a model's files from a sample of its data.

    Args:
        name: the model's.
        data: the sample, CSV or Parquet.
        label: the column to predict; None to guess it.
        key: the column that names a row; None to guess it.
        folder: where models lie.

    Raises:
        ConfigError: for a name that is none or taken, a sample that cannot be read, and one without
            a key, a label or anything to learn from. Nothing is written then.
    """
    require_free_name(name, folder)
    sample = read_sample(data)
    roles = guess_roles(sample, key, label)
    yaml, python = yaml_text(name, roles, sample), python_text(name, roles, sample)
    whole = None if sample.is_cut else sample.path
    check_files(name, yaml=yaml, python=python, data=whole)
    write_model_files(name, folder, yaml=yaml, python=python)
    return NewModel(name, _files(name), tuple(_guessed(roles, sample)), NOT_KNOWN)


def _files(name: str) -> tuple[str, ...]:
    return (f"include/models/{name}.yaml", f"include/models/{name}.py")


def _guessed(roles: Roles, sample: Sample) -> list[str]:
    """Return in words what was guessed, so that it can be confirmed at a glance."""
    rows, columns = sample.table.num_rows, sample.table.num_columns
    cut = "the first " if sample.is_cut else ""
    label = roles.label
    positive = "" if label.positive is None else f", {label.positive!r} means yes"
    audited = [f"{one.name} ({', '.join(one.columns)})" for one in roles.protected]
    few = "; too few to judge a version by (docs/margins.md)" if rows < MIN_ROWS else ""
    lines = {
        "read": f"{cut}{rows:,} rows, {columns:,} columns" + few,
        "key": roles.key,
        "label": f"{label.column}: {label.problem}{positive}",
        "features": f"{len(roles.features):,}: {_some(roles.features)}",
        "protected": ", ".join(audited) or "no column is named like it",
        "leaks": _some(roles.leaks) or "no column tells the label by itself",
        "time": _time(roles),
        "not read": _some(tuple(_left_out(roles))) or "none",
    }
    if roles.ages:
        lines["age"] = f"{_some(roles.ages)} is learned from: many laws protect it"
    return [f"{name}: {words}" for name, words in lines.items()]


def _time(roles: Roles) -> str:
    """Return the columns of dates, those that are not read with what would read them."""
    zoned = [one for one in roles.columns.values() if one.zone is not None]
    words = [*roles.moments, *(f"{one.name} ({one.seems})" for one in zoned)]
    return _some(tuple(words)) or "no column holds dates"


def _left_out(roles: Roles) -> list[str]:
    """Return the columns that are not read, with what they seem to be, where that would help."""
    columns = [roles.columns[name] for name in roles.left_out]
    return [
        one.name if one.seems is None or one.zone is not None else f"{one.name} ({one.seems})"
        for one in columns
    ]


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - 12
    return ", ".join(names[:12]) + (f" and {more:,} more" if more > 0 else "")
