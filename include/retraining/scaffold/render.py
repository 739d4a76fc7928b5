"""The two files of a new model, as text: templates beside this file, filled with the guesses."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.retraining.config.csv_dialect import CsvDialect
from include.retraining.formatting.numbers import number
from include.retraining.formatting.text import default_title, truncate
from include.retraining.scaffold.contract_lines import (
    WIDTH,
    column_line,
    family_line,
    quoted,
    unique_attributes,
)
from include.retraining.scaffold.families import Family, families
from include.retraining.scaffold.protected import Attribute
from include.retraining.scaffold.roles import Roles
from include.retraining.scaffold.sample import Sample

MAX_EXPLAINED = 30
"""Of columns that are not read, as many are named with the reason."""
MIN_HOLDOUT_ROWS = 100
METRICS = {
    "binary": ("roc_auc", "balanced_accuracy, neg_brier_score", "0.7"),
    "multiclass": ("f1_macro", "accuracy, neg_log_loss", "0.6"),
    "regression": ("r2", "neg_mean_absolute_error, neg_root_mean_squared_error", "0.3"),
}
"""Per problem: the metric that decides, others to report, and a minimum as an example."""
# Words that YAML would not read as text.
_YAML_WORDS = frozenset({"yes", "no", "on", "off", "y", "n", "true", "false", "null"})


def python_text(name: str, roles: Roles, sample: Sample) -> str:
    """Return the text of NAME.py."""
    found = families(roles.columns, roles.numbers)
    gaps = any(roles.columns[name].missing for name in roles.numbers)
    return _rendered(
        "model.py.jinja",
        title=default_title(name),
        rows=f"{sample.table.num_rows:,}",
        uses_pandas=bool(roles.moments),
        uses_seed=roles.label.problem != "regression",
        has_gaps=gaps,
        numbers=_names(roles.numbers, found),
        words=_names(roles.words, ()),
        features=_features(roles),
        left_out=_left_out(roles),
        lines=_contract_lines(roles, found),
    )


def yaml_text(name: str, roles: Roles, sample: Sample) -> str:
    """Return the text of NAME.yaml."""
    rows, label = sample.table.num_rows, roles.label
    metric, report, example = METRICS[label.problem]
    fraction = 0.3 if rows < 5000 else 0.2
    min_rows = max(2, rows * 4 // 5)
    return _rendered(
        "model.yaml.jinja",
        name=yaml_word(name),
        title=yaml_word(default_title(name)),
        description=yaml_word(f"Predicts {label.column}."),
        rows=f"{rows:,}",
        problem=label.problem,
        why_problem=_why_problem(roles),
        pattern=quoted(sample.pattern),
        csv=_dialect(sample.csv),
        key=yaml_word(roles.key),
        label=yaml_word(label.column),
        positive=quoted(label.positive) if isinstance(label.positive, str) else label.positive,
        protected=[
            {"name": attribute.name, "source": _source(attribute)} for attribute in roles.protected
        ],
        ages=[truncate(age, 60) for age in roles.ages],
        leaks=", ".join(map(yaml_word, roles.leaks)),
        fraction=fraction,
        salt=f"{name.replace('_', '-')}-1",
        moment=yaml_word(roles.moments[0]) if roles.moments else None,
        min_rows=min_rows,
        **_label_rate(roles, sample),
        trusted_types="numpy.dtype" if _needs_dtype(roles) else "",
        metric=metric,
        report=report,
        example_minimum=example,
        min_holdout_rows=max(1, min(MIN_HOLDOUT_ROWS, int(min_rows * fraction))),
    )


def _rendered(template: str, **values: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=False,  # noqa: S701 that would be HTML; names are quoted for Python and YAML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(values)


def _names(names: Sequence[str], found: Sequence[Family]) -> str:
    """Return a tuple of column names, of a family as the expression that makes them."""
    made = {family: family.generator for family in found if family.generator is not None}
    written = {name for family in made for name in family.names}
    items = [quoted(name) for name in names if name not in written]
    if not items and len(made) == 1:
        return _call("tuple", next(iter(made.values())), indent="")
    items += [_call("*", parts, indent="    ") for parts in made.values()]
    line = f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    if len(line) <= WIDTH - len("NUMBERS = ") and "\n" not in line:
        return line if items else ""
    return "\n".join(["(", *(f"    {item}," for item in items), ")"])


def _call(before: str, parts: Sequence[str], *, indent: str) -> str:
    """Return an expression in brackets, wrapped as the formatter wraps it."""
    line = f"{before}({' '.join(parts)})"
    if len(line) <= WIDTH - len("NUMBERS = "):
        return line
    whole = f"{indent}    {' '.join(parts)}"
    lines = [whole] if len(whole) <= WIDTH else [f"{indent}    {part}" for part in parts]
    return "\n".join([f"{before}(", *lines, f"{indent})"])


def _features(roles: Roles) -> str:
    if roles.numbers and roles.words:
        return "(*NUMBERS, *WORDS)"
    return "NUMBERS" if roles.numbers else "WORDS"


def _left_out(roles: Roles) -> list[str]:
    lines = [truncate(f"{name}: {why}", 90) for name, why in roles.left_out.items()]
    more = len(lines) - MAX_EXPLAINED
    return [*lines[:MAX_EXPLAINED], *([f"and {more:,} more"] if more > 0 else [])]


def _contract_lines(roles: Roles, found: Sequence[Family]) -> list[str]:
    """Return a line for each column that anything names; the families come last."""
    audited = {name for attribute in roles.protected for name in attribute.columns}
    in_families = {name for family in found for name in family.names}
    named = {roles.key, roles.label.column, *audited, *roles.features, *roles.moments}
    first = [roles.key, roles.label.column]
    others = [name for name in roles.columns if name in named and name not in first]
    lines = [
        column_line(roles.columns[name], is_key=name == roles.key, is_audited=name in audited)
        for name in (*first, *others)
        if name not in in_families
    ]
    return unique_attributes([*lines, *map(family_line, found)])


def _why_problem(roles: Roles) -> str:
    column = roles.columns[roles.label.column]
    kind = "classes" if roles.label.problem != "regression" else "numbers"
    return f"{column.distinct:,} {kind} in the sample"


def _dialect(csv: CsvDialect) -> str:
    """Return what of a dialect is not the usual one, as YAML."""
    usual = CsvDialect().model_dump(mode="json")
    changed = {
        name: value for name, value in csv.model_dump(mode="json").items() if value != usual[name]
    }
    return json.dumps(changed) if changed else ""


def _source(attribute: Attribute) -> str:
    if attribute.is_one_hot:
        return f"one_hot: [{', '.join(map(yaml_word, attribute.columns))}]"
    return f"column: {yaml_word(attribute.columns[0])}"


def _label_rate(roles: Roles, sample: Sample) -> dict[str, str | None]:
    """Return the share of positive rows, and what is allowed of it: half way to all and to none."""
    if roles.label.problem != "binary":
        return {"rate": None, "label_rate": None}
    from include.retraining.data.labels import is_class

    labels = sample.table.column(roles.label.column).to_pandas().to_numpy()
    rate = float(is_class(labels, roles.label.positive).mean())
    limits = f"{{min: {rate / 2:.2g}, max: {(1 + rate) / 2:.2g}}}"
    return {"rate": number(rate, 3), "label_rate": limits}


def _needs_dtype(roles: Roles) -> bool:
    """Return whether the template's estimator keeps a type that skops does not trust by itself."""
    return bool(roles.words) or any(roles.columns[name].missing for name in roles.numbers)


def yaml_word(text: str) -> str:
    """Return a text as YAML, quoted where it could be read as something else."""
    is_plain = (
        re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*( [A-Za-z0-9_]+)*", text)
        and text.lower() not in _YAML_WORDS
    )
    return text if is_plain else quoted(text)
