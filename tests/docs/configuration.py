"""docs/configuration.md: every field of a model's YAML, made from what the code declares.

`python -m tests.docs.configuration` writes it. Meanings are the docstrings of the fields, types,
defaults and bounds the JSON Schema's; the examples are cut from docs/example/every_field.yaml.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from include.retraining.config.base import NAME_PATTERN
from include.retraining.config.fargate import FARGATE_SIZES
from include.retraining.config.metric_ranges import RANGES
from include.retraining.config.model import ModelConfig
from include.retraining.config.schema import schema
from include.retraining.config.yaml_file import read_mapping
from tests.docs.markdown_files import ROOT, anchor

PAGE = ROOT / "docs" / "configuration.md"
EXAMPLES = ROOT / "docs" / "example" / "every_field.yaml"
MODEL = ModelConfig.__name__
INTRODUCTION = """\
# The fields of a model

Made by `python -m tests.docs.configuration` from the code: do not edit.

A model is `include/models/NAME.yaml`, with `NAME.py` beside it. `python -m include.retraining
validate-config NAME` checks both, and that the contract declares every column that they name and
allows the positive value: each mistake is a line with file, field and what is allowed. First come
the mistakes of single fields, all of them; what several fields or the contract say together is
checked once each field is right. An editor that knows YAML completes the fields
([schema](../include/models/schema.json)). A field that is not listed here is an error, and so is
one that is given twice. Where a field has no default, it must be given. A word that YAML takes for
something else (`no`, `null`, `010`, `2026-11-24`) is put in quotes, and so is a value that begins
with `@`, `*`, `%`, `&`, `!` or a backtick. "Name" means small letters, digits and `_`, beginning
with a letter, 2 to 48 characters; `STEP` stands for `validate_data`, `train_model` or
`evaluate_model`.

What is trained depends on `problem`, `training` and, in `data`, on `key`, `label`, `positive`,
`protected`, `never_features` and `split`; and on `python` where the training runs in an image. A
change of anything else trains nothing: under other gates, the version that is there is judged anew.

The metrics are [at the end](#metrics). The examples are of three invented models, with YAML in
[every_field.yaml](example/every_field.yaml).
"""

Definitions = dict[str, dict[str, Any]]


def definitions() -> Definitions:
    """Return the sections of the JSON Schema by the names of their classes, the model first."""
    whole = json.loads(schema())
    return {MODEL: whole, **whole["$defs"]}


def sections_of(about: dict[str, Any], known: Definitions) -> Iterator[str]:
    """Return the names of the sections that a field may hold."""
    if "$ref" in about:
        name = about["$ref"].rpartition("/")[2]
        if "properties" in known[name]:
            yield name
    of_mapping = about.get("patternProperties", {}).values()
    for part in (*about.get("anyOf", ()), *about.get("oneOf", ()), about.get("items"), *of_mapping):
        if part:
            yield from sections_of(part, known)


def places(known: Definitions) -> dict[str, list[str]]:
    """Return where each section stands in the YAML, in the order of a walk through the model."""
    found: dict[str, list[str]] = {}

    def walk(name: str, place: str) -> None:
        where = found.setdefault(name, [])
        if place in where:
            return
        where.append(place)
        for field, about in known[name]["properties"].items():
            step = "STEP" if field in {"validate_data", "train_model", "evaluate_model"} else field
            for inner in sections_of(about, known):
                walk(inner, f"{place}.{step}".lstrip("."))

    walk(MODEL, "")
    return found


def heading(name: str, known: Definitions, where: list[str]) -> str:
    """Return the heading of a section: its places, and what tells it from its alternatives."""
    if name == MODEL:
        return "The model"
    kinds = [
        f"`{field}: {about['const']}`"
        for field, about in known[name]["properties"].items()
        if "const" in about
    ]
    return ", ".join([*(f"`{place}`" for place in where), *kinds])


def bounds(about: dict[str, Any]) -> Iterator[str]:
    """Return what a number or a list must keep to."""
    words = {
        "minimum": "≥ {}",
        "exclusiveMinimum": "> {}",
        "maximum": "≤ {}",
        "exclusiveMaximum": "< {}",
        "minItems": "at least {}",
        "maxProperties": "at most {}",
    }
    for key, text in words.items():
        if key in about:
            yield text.format(f"{about[key]:,}" if abs(about[key]) >= 10_000 else about[key])
    if about.get("type") == "string" and about.get("maxLength", 2000) < 2000:
        yield f"at most {about['maxLength']} characters"


def kind(about: dict[str, Any], known: Definitions, headings: dict[str, str]) -> str:
    """Return the type of a field and what is allowed, in words."""
    if "$ref" in about:
        name = about["$ref"].rpartition("/")[2]
        if name not in headings:
            return kind(known[name], known, headings)
        return f"[{headings[name]}](#{anchor(headings[name])})"
    if options := about.get("anyOf") or about.get("oneOf"):
        return " or ".join(dict.fromkeys(kind(option, known, headings) for option in options))
    if "const" in about:
        return f"`{about['const']}`"
    if "enum" in about:
        return ", ".join(f"`{value}`" for value in about["enum"])
    limits = ", ".join(bounds(about))
    return _typed(about, known, headings) + (f" ({limits})" if limits else "")


def _typed(about: dict[str, Any], known: Definitions, headings: dict[str, str]) -> str:
    """Return the type of a field that is no section and no choice."""
    if about["type"] == "array":
        return "list of " + kind(about["items"], known, headings)
    if about["type"] == "object":
        keys = about.get("propertyNames")
        words = "mapping to " + _values(about, known, headings)
        return f"{words}, keys: {kind(keys, known, headings)}" if keys else words
    if about.get("pattern") == NAME_PATTERN:
        return "name"
    if "pattern" in about:
        return f"text like `{about['pattern']}`"
    names = {"string": "text", "integer": "whole number", "boolean": "`true`, `false`"}
    return names.get(about["type"], str(about["type"]))


def _values(about: dict[str, Any], known: Definitions, headings: dict[str, str]) -> str:
    """Return the type of a mapping's values."""
    patterned = about.get("patternProperties", {}).values()
    return kind(next(iter(patterned), about.get("additionalProperties")), known, headings)


def default(field: str, about: dict[str, Any], section: dict[str, Any]) -> str:
    """Return a field's default, or nothing where it must be given."""
    if field in section.get("required", ()):
        return ""
    if about.get("type") == "object":
        return "none"
    value = about.get("default")
    if isinstance(value, dict):
        return f"`{flow(value)}`" if set(value) <= {"min", "max"} else "see there"
    return "none" if value in ([], "") else f"`{flow(value)}`"


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False)
    return text.removesuffix("\n...\n").strip()


def table(name: str, known: Definitions, headings: dict[str, str]) -> Iterator[str]:
    """Return the table of a section's fields."""
    yield "| field | type, and what is allowed | default | meaning |"
    yield "|---|---|---|---|"
    section = known[name]
    for field, about in section["properties"].items():
        meaning = about.get("description") or known[next(sections_of(about, known))]["description"]
        cells = (
            f"`{field}`",
            kind(about, known, headings),
            default(field, about, section),
            " ".join(meaning.split()),
        )
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def blocks(text: str) -> dict[str, str]:
    """Return a YAML document cut into its top fields; those of one line together, as ``""``."""
    found: dict[str, str] = {}
    for block in re.split(r"\n(?=\w)", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).strip()):
        name = block.partition(":")[0]
        is_section = block.rstrip().startswith(f"{name}:\n")
        where = name if is_section else ""
        found[where] = f"{found[where]}\n{block}" if where in found else block
    return {name: block.strip() for name, block in found.items()}


def shown(name: str, value: Any, known: Definitions) -> Iterator[tuple[str, str]]:
    """Return each field that a document shows, with its section, from the section ``name`` on."""
    for field, inner in value.items():
        yield name, field
        about = known[name]["properties"][field]
        for section in sections_of(about, known):
            for item in _items(inner, is_mapping="patternProperties" in about):
                if isinstance(item, dict) and _is_a(section, item, known):
                    yield from shown(section, item, known)


def _items(value: Any, *, is_mapping: bool) -> list[Any]:
    """Return the sections that a field's value may hold."""
    if is_mapping:
        return list(value.values())
    return value if isinstance(value, list) else [value]


def _is_a(section: str, value: dict[str, Any], known: Definitions) -> bool:
    """Whether a mapping is that section and not its alternative."""
    fields = known[section]["properties"]
    return set(value) <= set(fields) and all(
        value.get(field, about.get("default")) == about["const"]
        for field, about in fields.items()
        if "const" in about
    )


def examples(known: Definitions) -> dict[str, list[str]]:
    """Return for each top field the examples of which each shows something more."""
    found: dict[str, list[str]] = {}
    seen: set[tuple[str, str]] = set()
    for text in EXAMPLES.read_text(encoding="utf-8").split("\n---\n"):
        for name, block in blocks(text).items():
            shows = set(shown(MODEL, read_mapping(block, EXAMPLES.name), known))
            if not shows <= seen:
                seen |= shows
                found.setdefault(name, []).append(block)
    return found


def render() -> str:
    """Return the page."""
    known = definitions()
    where = places(known)
    headings = {name: heading(name, known, found) for name, found in where.items()}
    samples = examples(known)
    lines = [INTRODUCTION]
    for top in ("", *(found[0] for found in where.values() if found[0] and "." not in found[0])):
        for name, found in where.items():
            if found[0].partition(".")[0] != top:
                continue
            level = "##" if found[0] == top else "###"
            lines += [f"{level} {headings[name]}", "", known[name]["description"], ""]
            lines += [*table(name, known, headings), ""]
        for sample in samples.get(top, ()):
            lines += ["```yaml", sample, "```", ""]
    lines += ["## Metrics", "", "For `gates`, by `problem`. Greater is better for each.", ""]
    lines += ["A limit that no score of its metric can be held against is refused.", ""]
    lines += ["| problem | a metric that | metrics |", "|---|---|---|"]
    lines += [
        f"| `{problem}` | {bounds} | "
        f"{', '.join(f'`{name}`' for name in sorted(of) if of[name] == bounds)} |"
        for problem, of in RANGES.items()
        for bounds in sorted(set(of.values()), reverse=True)
    ]
    lines += ["", "## Sizes of a job on Fargate", ""]
    lines += ["With `platform: fargate` there are these pairs of CPU and memory only.", ""]
    lines += ["| `cpu` | `memory`, in MiB |", "|---:|---|"]
    lines += [
        f"| {cpu:g} | {', '.join(map(str, sizes[:2]))}, … {sizes[-1]} |"
        for cpu, sizes in FARGATE_SIZES.items()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
