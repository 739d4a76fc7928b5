"""Documents in Markdown from Jinja templates, which lie beside the code that fills them in.

The text of a document is in its template. Whatever is filled in is escaped there, without being
asked to: data, configuration and file names cannot write markup. Only what is `Markdown` already,
a table or a name between backticks, is shown as it is.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.retraining.formatting import markdown
from include.retraining.formatting.numbers import number
from include.retraining.formatting.times import utc_minute


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def render_markdown(template: Path, **values: Any) -> str:
    """Return a document: at most one blank line in a row, and a line end at its end.

    Args:
        template: the file.
        values: what it names; a name that it lacks is an error.
    """
    text = _environment(template.parent).get_template(template.name).render(values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=False,  # noqa: S701 that would be HTML; `finalize` escapes for Markdown
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "code": lambda text: Markdown(markdown.code(text)),
        "thousands": lambda count: f"{count:,}",
        "three_digits": lambda value: number(value, 3),
        "literal": Markdown,
        "utc": utc_minute,
    }
    return environment


def _shown(value: object) -> str:
    return value if isinstance(value, Markdown) else markdown.escaped(value)
