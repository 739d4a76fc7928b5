"""What a change does to the models' effective configuration: with all defaults, before and after.

Two YAMLs that say the same in other words do not differ, and a default that is written down is no
change. Which decisions would have been others is `replay`'s to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from include.retraining.config.model import MODELS_FOLDER, GatePolicy, ModelConfig, parse_model
from include.retraining.exceptions import ConfigError

Part = Literal["schedule", "gates", "resources", "training", "other"]
_PARTS: dict[str, Part] = {
    "trigger": "schedule",
    "deadline": "schedule",
    "gates": "gates",
    "compute": "resources",
}


@dataclass(frozen=True)
class Change:
    """One field that differs."""

    part: Part
    """`training` is what can change the trained model: the next run trains again."""
    field: str
    """With dots between its sections, as errors name it."""
    before: str | None
    """As JSON; None where the field is not there."""
    after: str | None


@dataclass(frozen=True)
class ModelDiff:
    """What becomes of one model."""

    name: str
    state: Literal["new", "deleted", "changed", "broken"]
    changes: tuple[Change, ...] = ()
    """Of a new model, all its fields that lie in schedule, gates or resources."""
    problem: str | None = None
    """Why the YAML afterwards cannot be used."""
    note: str | None = None
    """What else there is to know."""
    gates: GatePolicy | None = None
    """The gates afterwards, if they differ."""


def read_models(folder: Path = MODELS_FOLDER) -> dict[str, str]:
    """Return the text of each model's YAML in a folder, by the model's name."""
    return {
        path.stem: path.read_bytes().decode(errors="replace")
        for path in sorted(folder.glob("*.yaml"))
    }


def compare(before: Mapping[str, str], after: Mapping[str, str]) -> list[ModelDiff]:
    """Return each model whose effective configuration differs, by name.

    Args:
        before: the YAML of each model, by its name.
        after: the same, as it is going to be.
    """
    diffs = (
        _compare(name, before.get(name), after.get(name)) for name in sorted({*before, *after})
    )
    return [diff for diff in diffs if diff is not None]


def _compare(name: str, before: str | None, after: str | None) -> ModelDiff | None:
    if before == after:
        return None
    if after is None:
        return ModelDiff(name, "deleted")
    try:
        new = _parsed(name, after)
    except ConfigError as error:
        return ModelDiff(name, "broken", problem=str(error))
    if before is None:
        return ModelDiff(name, "new", _main_fields(new))
    return _compare_with(name, before, new)


def _compare_with(name: str, before: str, new: ModelConfig) -> ModelDiff | None:
    try:
        old = _parsed(name, before)
    except ConfigError as error:  # it is repaired, or fields have gone with the code that read them
        note = f"It could not be read before: {error}"
        return ModelDiff(name, "changed", _main_fields(new), note=note, gates=new.gates)
    changes = tuple(_changes(_flat(old.model_dump(mode="json")), new))
    if not changes:
        return None
    gates = new.gates if new.gates != old.gates else None
    return ModelDiff(name, "changed", changes, gates=gates)


def _main_fields(new: ModelConfig) -> tuple[Change, ...]:
    """Return a new model's schedule, gates and resources."""
    changes = _changes({}, new)
    return tuple(change for change in changes if change.part not in {"training", "other"})


def _parsed(name: str, text: str) -> ModelConfig:
    config = parse_model(text, where=f"{name}.yaml")
    if config.name != name:
        raise ConfigError(f"{name}.yaml: name: is {config.name!r}, must be {name!r} as the file")
    return config


def _changes(old: Mapping[str, str], config: ModelConfig) -> Iterator[Change]:
    """Yield what differs, in the order of the YAML's fields."""
    new = _flat(config.model_dump(mode="json"))
    trained = _flat(config.training_view)
    for field in dict.fromkeys([*new, *old]):
        if old.get(field) != new.get(field):
            part = _PARTS.get(field.partition(".")[0], "other")
            if part == "other" and _is_trained(field, trained):
                part = "training"
            yield Change(part, field, old.get(field), new.get(field))


def _is_trained(field: str, trained: Mapping[str, str]) -> bool:
    """Return whether a field, present or gone, lies in what can change the trained model."""
    sections = {".".join(name.split(".")[:2]) for name in trained}
    return ".".join(field.split(".")[:2]) in sections


def _flat(value: Any, path: str = "") -> dict[str, str]:
    """Return every value as JSON by its path; sections and lists of sections are taken apart."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = {str(place): item for place, item in enumerate(value)}
    if not isinstance(value, dict):
        return {path: json.dumps(value, ensure_ascii=False)}
    leaves: dict[str, str] = {}
    for name, item in value.items():
        leaves |= _flat(item, f"{path}.{name}" if path else str(name))
    return leaves
