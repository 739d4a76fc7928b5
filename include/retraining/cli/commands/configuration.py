"""Commands on the models' YAML: check it, and compare it with a revision of git."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from include.retraining.cli.answer import print_answer
from include.retraining.cli.options import AsJson, StoreUri, read_count
from include.retraining.exceptions import ConfigError
from include.retraining.store.object_store import URI_VARIABLE


def config_diff(
    base: Annotated[str, Option(metavar="REVISION", help="before, as git knows it: origin/main")],
    limit: Annotated[
        int, Option(parser=read_count, metavar="N", help="decisions to judge again")
    ] = 20,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """Show what changed in the models since a revision.

    In Markdown, with what the new gates say of past runs.
    """
    from include.retraining.cli.config_diff import compare, read_models
    from include.retraining.cli.config_report import judge_again, markdown
    from include.retraining.cli.git import model_texts

    uri = store or os.environ.get(URI_VARIABLE) or None
    diffs = compare(model_texts(base), read_models())
    reports = [judge_again(diff, uri, limit=limit) for diff in diffs]
    return print_answer(reports, lambda: [markdown(reports)], as_json=as_json)


def validate_config(
    files: Annotated[
        list[Path] | None, Argument(metavar="NAME|FILE", help="default: every model")
    ] = None,
    write_schema: Annotated[
        bool, Option("--write-schema", help="write include/models/schema.json too")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Check models' YAML and Python files."""
    from include.retraining.cli.config_check import check
    from include.retraining.config import model, schema

    if write_schema:
        schema.write_schema()
    files = files or [model.MODELS_FOLDER / f"{name}.yaml" for name in model.model_names()]
    checked = [check(file) for file in files]
    problems = [problem for one in checked for problem in one.problems]
    if problems:
        raise ConfigError("\n".join(problems))
    if not checked:
        raise ConfigError(f"there is no model in {model.MODELS_FOLDER}")
    warnings = {one.where: list(one.warnings) for one in checked if one.warnings}
    value = {
        "valid": [one.where for one in checked],
        **({"warnings": warnings} if warnings else {}),
    }
    lines = [
        line
        for one in checked
        for line in (f"{one.where}: valid", *(f"  warning: {text}" for text in one.warnings))
    ]
    return print_answer(value, lambda: lines, as_json=as_json)
