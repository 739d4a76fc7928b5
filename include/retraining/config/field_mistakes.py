"""Putting what pydantic finds in a model's YAML into words: the field, what is wrong, what to do.

Light on purpose: a DAG file imports this at every parse, so nothing but pydantic is imported here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_origin

from pydantic import Tag, ValidationError

from include.retraining.config.base import Section
from include.retraining.config.compute import backend_problem
from include.retraining.config.yaml_words import misread
from include.retraining.formatting.text import truncate

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_MISSING = frozenset({"missing", "union_tag_not_found"})
_MAPPINGS = frozenset({"dict_type", "model_type", "model_attributes_type"})


def explain(error: ValidationError, model: type[Section]) -> Iterator[str]:
    """Yield each mistake in a line: the field as the YAML names it, and what is wrong.

    Args:
        error: what pydantic found.
        model: the section that was validated.
    """
    for problem in error.errors():
        location, section = _place(problem["loc"], model)
        message = _message(problem, section)
        if problem["type"] == "unknown_backend":
            location.append("backend")
        elif problem["type"] in {"union_tag_not_found", "union_tag_invalid"}:
            location.append(str(problem["ctx"]["discriminator"]).strip("'"))
        field = ".".join(part if re.fullmatch(r"[\w-]+", part) else repr(part) for part in location)
        # A rule across sections names its field itself, and may report several.
        for line in message.split("\n"):
            yield f"{field}: {line}" if field else line


def percentage_hint(value: Any) -> str:
    """Return how a percentage is written where a share is wanted; empty if it cannot be one."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f": {value:g} % is {value / 100:g}" if is_number and 1 < value <= 100 else ""


def _message(problem: ErrorDetails, section: type[Section] | None) -> str:
    """Return what is wrong with a field, and what is allowed.

    Args:
        problem: what pydantic says of it.
        section: that the field is one of.
    """
    kind, value = problem["type"], problem["input"]
    if kind == "value_error":
        return problem["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        names = list(section.model_fields) if section is not None else []
        near = get_close_matches(str(problem["loc"][-1]), names, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        return f"is not a field{hint}; allowed: {', '.join(names)}"
    if kind == "unknown_backend":
        return backend_problem(value)
    if kind in _MISSING:
        return "is missing"
    if kind == "string_type" and misread(value):
        return f"must be text: {misread(value)}"
    return _wanted(problem)


def _wanted(problem: ErrorDetails) -> str:
    """Return what a field must be, and what it is."""
    kind, value, limits = problem["type"], problem["input"], problem.get("ctx", {})
    given = f"is {truncate(repr(value), 200)}"
    if kind == "tuple_type":
        is_single = isinstance(value, str | int | float)
        return f"must be a list, {f'like {json.dumps([value])}' if is_single else given}"
    if kind == "union_tag_invalid":
        return f"Input should be {limits['expected_tags']}, is {limits['tag']!r}"
    if kind in _MAPPINGS:
        return f"must be a mapping of fields, {given}"
    if kind == "string_too_long" and value.startswith("\\"):
        given += f': in double quotes, "{truncate(value, 20)}" is one character'
    elif 1 in (limits.get("lt"), limits.get("le")):  # the greatest share there is
        given += percentage_hint(value)
    return f"{problem['msg']}, {given}"


def _place(
    location: Sequence[int | str], model: type[Section]
) -> tuple[list[str], type[Section] | None]:
    """Follow pydantic's location of a mistake through the sections.

    Returns:
        The location as the YAML has it, without the words that only say which of a field's kinds of
        values was meant; and the last section that it leads to, None in a mapping of plain values.
    """
    path: list[str] = []
    section: type[Section] | None = model
    kinds: dict[str, type[Section] | None] = {}
    is_mapping = False
    for part in location:
        if part in kinds:
            section, kinds = kinds[str(part)], {}
        elif part != "[key]":  # of the name in a mapping, which stands before it
            path.append(str(part))
            kinds = {}
            if isinstance(part, str):
                field = section.model_fields.get(part) if section is not None else None
                if field is not None:
                    section = _section_in(field.annotation)
                    is_mapping = get_origin(field.annotation) is dict
                    kinds = dict(_kinds(field.annotation))
                elif is_mapping:  # a name that the YAML gives to a section
                    is_mapping = False
                elif part != location[-1]:
                    section = None
    return path, section


def _kinds(annotation: Any) -> Iterator[tuple[str, type[Section] | None]]:
    """Yield the tags of the values that a field may hold, with the section that each stands for."""
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, Tag):
            yield mark.tag, _section_in(annotation)
            return
    for part in getattr(annotation, "__args__", ()):
        yield from _kinds(part)


def _section_in(annotation: Any) -> type[Section] | None:
    """Return the first section that a type annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        section = _section_in(part)
        if section is not None:
            return section
    return None
