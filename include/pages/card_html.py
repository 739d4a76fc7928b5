"""A model card as HTML. Its Markdown comes from the store: nothing in it is taken for HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt

from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

PICTURE = re.compile(r"[A-Za-z0-9_-]{1,80}\.png")


def card_html(store: Store, paths: RunPaths, pictures: str) -> str | None:
    """Return a run's model card, None where it has none.

    Args:
        store: with the card.
        paths: the run's plan.
        pictures: the path below which its pictures are served.
    """
    data = store.read_if_present(f"{paths.card}/card.md")
    return None if data is None else render(data.decode("utf-8", "replace"), pictures)


def render(markdown: str, pictures: str) -> str:
    """Return Markdown as HTML, without any HTML of its own and with no address but our pictures."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    _tame(tokens, pictures)
    return str(parser.renderer.render(tokens, parser.options, {}))


def _tame(tokens: Sequence[Any], pictures: str) -> None:
    for token in tokens:
        if token.children:
            _tame(token.children, pictures)
        if token.type == "image":
            name = str(token.attrGet("src") or "")
            token.attrSet("src", f"{pictures}/{name}" if PICTURE.fullmatch(name) else "")
            token.attrSet("loading", "lazy")
        elif token.type == "link_open":
            token.attrs.pop("href", None)  # a card needs none, and a reader must not be led away
        elif "right" in str(token.attrs.pop("style", "")):  # the policy refuses a style
            token.attrJoin("class", "number")
