"""Reading YAML as a mapping of fields, and saying where it cannot be read.

Light on purpose: a DAG file imports this at every parse, so nothing but PyYAML is imported here.
"""

from __future__ import annotations

from typing import Any

import yaml

from include.retraining.config.yaml_words import misread
from include.retraining.exceptions import ConfigError

HINT = (
    "a value that begins with @ ` % & * ! or holds ': ' needs quotes, and YAML is indented by "
    "spaces, not tabs"
)


class _BadName(yaml.constructor.ConstructorError):
    """The name of a field that is given twice, or is no text."""


def read_mapping(text: str, where: str) -> dict[Any, Any]:
    """Return the fields that a YAML text holds.

    Args:
        text: the YAML.
        where: the file's name, for errors.

    Raises:
        ConfigError: naming file, line and column.
    """
    try:
        values = yaml.load(text, Loader=_UniqueKeyLoader)  # noqa: S506 a subclass of the safe loader
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not readable as YAML: {_explained(error)}") from error
    except RecursionError:
        raise ConfigError(f"{where}: not readable as YAML: it is nested too deep") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: must be a mapping of fields, is {type(values).__name__}")
    return values


def _explained(error: yaml.YAMLError) -> str:
    """Say in one line where YAML ends to be readable, and why."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        # A character that YAML does not have.
        return " ".join(str(error).replace('in "<unicode string>"', "").split()).replace(" ,", ",")
    mark, begin = error.problem_mark, error.context_mark
    text = f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    if begin is not None and begin.line != mark.line:
        text += f", {error.context} that begins in line {begin.line + 1}"
    return text if isinstance(error, _BadName) else f"{text}: {HINT}"


class _UniqueKeyLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The safe loader, refusing a key that is given twice (plain YAML keeps the last, silently)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.value == "on":  # a field's name; YAML would take it for a truth value
                key_node.tag = "tag:yaml.org,2002:str"
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                problem = (f"the name of a field must be text, is {key!r}", misread(key))
                raise _BadName(None, None, "; ".join(filter(None, problem)), key_node.start_mark)
            if key in seen:
                raise _BadName(None, None, f"the key {key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)  # type: ignore[no-any-return]
