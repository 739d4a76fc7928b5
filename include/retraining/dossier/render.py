"""Writing a dossier as Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from include.retraining.dossier.sections import Section
from include.retraining.dossier.sources import Fact, Missing, Source, Sources
from include.retraining.formatting.markdown import code, escaped, table
from include.retraining.model_card.template import Markdown, render_markdown

TEMPLATE = Path(__file__).with_name("dossier.md.jinja")


def render(sources: Sources, sections: Sequence[Section]) -> str:
    """Return the dossier as Markdown."""
    numbers = {source.key: number for number, source in enumerate(sources.used, start=1)}
    items = [item for section in sections for item in section.items]
    return render_markdown(
        TEMPLATE,
        model=sources.model,
        facts=sum(isinstance(item, Fact) for item in items),
        missing=sum(isinstance(item, Missing) for item in items),
        sections=[
            {
                "number": section.number,
                "title": section.title,
                "facts": _facts(section, numbers),
                "missing": [item for item in section.items if isinstance(item, Missing)],
            }
            for section in sections
        ],
        records=_records(sources.used, numbers),
    )


def shown(value: Any) -> str:
    """Return a value of a record as text: a number with all of its digits, a list with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        return ", ".join(map(shown, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _facts(section: Section, numbers: dict[str, int]) -> Markdown:
    rows = [
        [
            escaped(fact.what),
            escaped(shown(fact.value)),
            f"[{numbers[fact.key]}] {code(fact.pointer)}",
        ]
        for fact in section.items
        if isinstance(fact, Fact)
    ]
    return Markdown(table(("What", "Value", "Record"), rows) if rows else "")


def _records(used: Sequence[Source], numbers: dict[str, int]) -> Markdown:
    rows = [
        [f"[{numbers[source.key]}]", source.name, code(source.key), f"`{source.sha256}`"]
        for source in used
    ]
    return Markdown(table(("Record", "What it is", "Key in the store", "SHA-256"), rows))
