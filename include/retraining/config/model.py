"""One model: the content of `include/models/NAME.yaml`, and loading it.

Light on purpose: a DAG file imports this at every parse, so nothing but pydantic and PyYAML is
imported here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, ValidationError, field_validator, model_validator

from include.retraining.config.alerts import Alerts
from include.retraining.config.base import NAME_PATTERN, Name, Section, Text
from include.retraining.config.compute import ComputeBySteps
from include.retraining.config.deadline import TimeOfDay, parse_deadline
from include.retraining.config.field_mistakes import explain, percentage_hint
from include.retraining.config.gate_policy import FairnessGate, GatePolicy, SliceGate
from include.retraining.config.labels import Labels
from include.retraining.config.metric_ranges import METRICS, limits_out_of_range, metrics_for
from include.retraining.config.own_metric import misnamed
from include.retraining.config.publish import Publish
from include.retraining.config.scoring import Scoring
from include.retraining.config.sections import (
    Data,
    KeySplit,
    ProtectedAttribute,
    TimeSplit,
    Training,
)
from include.retraining.config.trigger import Trigger
from include.retraining.config.yaml_file import read_mapping
from include.retraining.documents import canonical_json
from include.retraining.exceptions import ConfigError, NotFound

__all__ = [
    "METRICS",
    "MODELS_FOLDER",
    "NAME_PATTERN",
    "Alerts",
    "FairnessGate",
    "GatePolicy",
    "KeySplit",
    "ModelConfig",
    "ProtectedAttribute",
    "SliceGate",
    "TimeSplit",
    "Trigger",
    "load_model",
    "model_names",
    "parse_model",
    "parse_policy",
]

ONE_SIDED = frozenset({"precision", "recall"})
"""Metrics of a binary problem that see one kind of error only."""

MODELS_FOLDER = Path(__file__).parents[2] / "models"


class ModelConfig(Section):
    """One model: the content of `include/models/NAME.yaml`."""

    name: Name
    """The file's own name: the DAG is `retrain_NAME`."""
    title: Text
    """The model's name for readers."""
    description: Text
    """What it predicts, for whom, and what it must not be used for."""
    owner: Text
    """The team that answers for it."""
    tier: Literal[1, 2, 3] = 2
    """Impact of a failure: 1 page someone, 2 same day, 3 when convenient."""
    problem: Literal["binary", "multiclass", "regression"]
    """The kind of label."""
    trigger: Trigger
    data: Data
    training: Training
    gates: GatePolicy
    approval: Literal["automatic", "required"] = "automatic"
    """Whether someone must approve a challenger that passed the gate before it is promoted."""
    approval_hours: Annotated[float, Field(gt=0, le=30 * 24)] = 24
    """Hours an approval waits for; without an answer the new version does not serve."""
    deadline: str | None = None
    """By when a run must have decided: `3h after start` (s, min, h or d), or a time of day with its
    zone, `06:00 Europe/Paris`: the first after the run was due, whether it started or not."""
    max_champion_age_days: PositiveFloat | None = None
    """How old the champion's data may be, in days; null: no limit."""
    compute: ComputeBySteps = ComputeBySteps()
    scoring: Scoring | None = None
    """What the champion scores, and where its scores go: the DAG `score_NAME` (docs/scoring.md).
    null: this model scores nothing here."""
    labels: Labels | None = None
    """Where the labels of what was scored arrive, which grade the versions that scored it
    (docs/labels.md). null: they are not followed."""
    alerts: Alerts = Alerts()
    publish: Publish | None = None
    """Where each champion is published besides the store; null: nowhere (docs/publishing.md)."""

    @field_validator("deadline")
    @classmethod
    def _readable_deadline(cls, value: str | None) -> str | None:
        if value is not None:
            parse_deadline(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> ModelConfig:
        problems = list(self._contradictions())
        if self.scoring is not None:
            data = self.data
            problems += self.scoring.contradictions(
                key=data.key, label=data.label, location=data.location
            )
        if self.labels is not None:
            problems += self.labels.contradictions(self.scoring, label=self.data.label)
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _contradictions(self) -> Iterator[str]:
        """Yield where two sections do not fit each other."""
        allowed = metrics_for(self.problem, self.gates)
        known = frozenset().union(*METRICS.values())
        yield from misnamed(self.gates.own_metrics, self.problem, known)
        for metric in self.gates.metrics:
            if metric not in allowed:
                near = get_close_matches(metric, allowed, n=1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                yield (
                    f"gates: {metric!r} is not a metric for a {self.problem} problem{hint}; "
                    f"allowed: {', '.join(sorted(allowed))}, and those of gates.own_metrics"
                )
        yield from self._of_another_problem()
        attributes = [attribute.name for attribute in self.data.protected]
        if len(set(attributes)) != len(attributes):
            yield "data.protected: a name is used twice"
        for rule in self.gates.fairness:
            if rule.attribute not in attributes:
                yield (
                    f"gates.fairness: {rule.attribute!r} is not a protected attribute; "
                    f"allowed: {', '.join(attributes) or 'none are declared'}"
                )
        by_the_clock = self.deadline is not None and isinstance(
            parse_deadline(self.deadline), TimeOfDay
        )
        if by_the_clock and self.trigger.schedule is None:
            yield "deadline: a time of day needs a trigger.schedule: no run is ever due"
        yield from self._unreachable()
        yield from self.trigger.own_assets(self.name)

    def _of_another_problem(self) -> Iterator[str]:
        """Yield what only another kind of problem has."""
        if (self.problem == "binary") != (self.data.positive is not None):
            yield "data.positive: give it for a binary problem, and only there"
        if self.data.label_rate is not None and self.problem != "binary":
            yield "data.label_rate: only a binary problem has one"
        if self.gates.calibration is not None and self.problem == "regression":
            yield "gates.calibration: a regression problem has no probabilities"
        if self.gates.fairness and self.problem != "binary":
            yield "gates.fairness: selection rates need a binary problem"

    def _unreachable(self) -> Iterator[str]:
        """Yield addresses that the trigger or a job elsewhere cannot reach."""
        places = {"trigger.flag": self.trigger.flag, "data.location": self.data.location}
        schemes = {
            scheme for place in places.values() if (scheme := place.partition("://")[0]) != place
        }
        if len(schemes) > 1:
            yield (
                "trigger.flag and data.location: must be of the same kind: both file:// addresses, "
                "both s3://, both gs:// or both az:// ones"
            )
        elsewhere = [
            step for step, used in self.compute if getattr(used, "backend", "local") != "local"
        ]
        for field, place in places.items():
            if place.startswith("file://") and elsewhere:
                yield (
                    f"{field}: {place!r} is on the worker's disk, which compute.{elsewhere[0]} "
                    "cannot read from where it runs: allowed there are s3://, gs:// and az:// "
                    "addresses, or paths relative to a store that is none of file://"
                )

    @property
    def dag_id(self) -> str:
        """The id of the DAG that retrains this model."""
        return f"retrain_{self.name}"

    @property
    def scoring_dag_id(self) -> str:
        """The id of the DAG that scores with this model's champion."""
        return f"score_{self.name}"

    @property
    def protected_columns(self) -> frozenset[str]:
        """Every column that a protected attribute is read from."""
        return frozenset(column for item in self.data.protected for column in item.columns)

    @property
    def training_view(self) -> dict[str, Any]:
        """The parts of the YAML that can change the trained model.

        Without `training.extras`: what counts of an extra is its lock, in the code's digest. And
        without what a split by time leaves at its default, as before there was any.
        """
        data = self.data.model_dump(mode="json")
        if isinstance(self.data.split, TimeSplit):
            data["split"] = self.data.split.model_dump(mode="json", exclude=self.data.split.unused)
        names = ("key", "label", "positive", "protected", "never_features", "split", "csv")
        return {
            "problem": self.problem,
            "data": {name: data[name] for name in names},
            "training": self.training.model_dump(mode="json", exclude={"extras"}),
        }

    @property
    def digest(self) -> str:
        """The SHA-256 of the whole configuration."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json"))).hexdigest()


def model_names(folder: Path = MODELS_FOLDER) -> list[str]:
    """Return the names of all configured models, sorted."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_model(name: str, folder: Path = MODELS_FOLDER) -> ModelConfig:
    """Load one model's configuration.

    Raises:
        NotFound: when there is no such model, naming those there are.
        ConfigError: naming file, field and what is allowed.
    """
    path = folder / f"{name}.yaml"
    if not re.fullmatch(NAME_PATTERN, name) and name in model_names(folder):
        raise ConfigError(
            f"include/models/{path.name}: is no name for a model: small letters, digits and '_', "
            "beginning with a letter, 2 to 48 characters"
        )
    if not re.fullmatch(NAME_PATTERN, name) or not path.is_file():
        near = get_close_matches(name, model_names(folder), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise NotFound(
            f"no model {name!r}{hint} (there are: {', '.join(model_names(folder)) or 'none'})"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"include/models/{path.name}: cannot be read: {error}") from error
    config = parse_model(text, where=f"include/models/{path.name}")
    if config.name != name:
        raise ConfigError(
            f"include/models/{path.name}: name: is {config.name!r}, must be {name!r} as the file"
        )
    if not path.with_suffix(".py").is_file():
        raise ConfigError(f"include/models/{path.name}: {name}.py is missing beside it")
    return config


def parse_model(text: str, *, where: str) -> ModelConfig:
    """Parse a model's YAML.

    Args:
        text: the YAML.
        where: the file's name, for errors.

    Raises:
        ConfigError: every problem, a line each: file, field, what is wrong, what is allowed.
    """
    return _validated(read_mapping(text, where), where)


def _validated(values: dict[Any, Any], where: str) -> ModelConfig:
    problems: list[str]
    try:
        config = ModelConfig.model_validate(values)
    except ValidationError as error:
        problems = [*explain(error, ModelConfig), *_senseless_gates(values.get("gates"))]
        raise ConfigError("\n".join(f"{where}: {line}" for line in problems)) from error
    problems = [*_senseless(config.gates), *_revealing_or_senseless(config)]
    if problems:
        raise ConfigError("\n".join(f"{where}: {line}" for line in problems))
    return config


def _senseless_gates(values: Any) -> Iterator[str]:
    """Yield what is senseless in gates that are valid by themselves, despite other mistakes."""
    with suppress(ValidationError):  # then that was reported
        yield from _senseless(GatePolicy.model_validate(values))


def _senseless(gates: GatePolicy) -> Iterator[str]:
    """Yield limits and a metric by which nothing can be judged.

    Not a rule of the section: a plan of before is still read, and the gate judges its limits.
    """
    yield from limits_out_of_range(gates)
    if gates.metric in ONE_SIDED:
        yield (
            f"gates.metric: {gates.metric} cannot decide: a model that says yes to everybody, or "
            "to one row, has the best one; take f1, balanced_accuracy or average_precision, and "
            f"give {gates.metric} in gates.minimum or gates.report"
        )


def _revealing_or_senseless(config: ModelConfig) -> Iterator[str]:
    """Yield what would reveal a protected value, and shares that no column can have."""
    for rule in config.gates.slices:
        if rule.column in config.protected_columns:
            yield (
                f"gates.slices: {rule.column!r} is protected, and messages name a slice by its "
                "value: hold its groups to each other by gates.fairness"
            )
    rate = config.data.label_rate
    if rate is not None and not 0 <= rate.min <= rate.max <= 1:
        hint = percentage_hint(rate.max)
        yield f"data.label_rate: is a share of the rows, from 0 to 1, not a percentage{hint}"


def parse_policy(text: str, config: ModelConfig, *, where: str) -> GatePolicy:
    """Parse rules to try on a model.

    Args:
        text: a model's whole YAML, or one that holds nothing but `gates:`.
        config: the model that they are tried on.
        where: the file's name, for errors.

    Raises:
        ConfigError: as `parse_model`; a metric or attribute that the model lacks is one.
    """
    values = read_mapping(text, where)
    if "gates" not in values:
        raise ConfigError(f"{where}: gates: is missing")
    if set(values) == {"gates"}:
        values = {**config.model_dump(mode="json"), **values}
    return _validated(values, where).gates
