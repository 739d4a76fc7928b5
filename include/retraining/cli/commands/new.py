"""`new`: a model's files, from a sample of its data or after another model."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import BadParameter, Option

from include.retraining.cli.answer import print_answer
from include.retraining.cli.options import AsJson, Name

if TYPE_CHECKING:
    from include.retraining.scaffold.new_model import NewModel

_DATA = "a sample, CSV or Parquet: a delivery, if there is one"
_LABEL = "the column to predict; default: the one that is named like it"
_KEY = "the column that names a row; default: the one that is named like it"
_LIKE = "a model whose contract, features and estimator it shares"


def new(
    name: Name,
    *,
    data: Annotated[Path | None, Option(metavar="FILE", help=_DATA)] = None,
    label: Annotated[str | None, Option(metavar="COLUMN", help=_LABEL)] = None,
    key: Annotated[str | None, Option(metavar="COLUMN", help=_KEY)] = None,
    like: Annotated[str | None, Option("--from", metavar="MODEL", help=_LIKE)] = None,
    as_json: AsJson = False,
) -> int:
    """Write a new model's YAML and Python file.

    What is guessed is marked CHECK in them. Nothing is overwritten.
    """
    if like is not None:
        if label is not None or key is not None:
            raise BadParameter("label and key are the other model's", param_hint="'--from'")
        from include.retraining.scaffold.like import model_like

        made = model_like(name, like, data=data)
    else:
        if data is None:
            raise BadParameter("give --data FILE, or --from MODEL", param_hint="'--data'")
        from include.retraining.scaffold.new_model import new_model

        made = new_model(name, data, label=label, key=key)
    heading = "Guessed; each is marked CHECK in the files" if like is None else "Taken over"
    return print_answer(made, lambda: _lines(made, heading, data), as_json=as_json)


def _lines(made: NewModel, heading: str, data: Path | None) -> Iterator[str]:
    yield f"Written: {' and '.join(made.written)}."
    yield f"{heading}:"
    yield from (f"  {line}" for line in made.guessed)
    yield "Not known; only someone who knows the data can say:"
    yield from (f"  {line}" for line in made.not_known)
    program = ".venv/bin/python -m include.retraining"
    given = "FILE" if data is None else shlex.quote(str(data))
    yield "Next:"
    yield f"  {program} validate-config {made.name}"
    yield f"  {program} try {made.name} --data {given}"
