"""A model card as HTML. Its Markdown comes from the store: nothing in it is taken for HTML."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from markdown_it import MarkdownIt

from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

PICTURE = re.compile(r"[A-Za-z0-9_-]{1,80}\.png")
# Of a plot: its heading, its caption and its picture, each with what opens and closes it.
_PLOT = ("heading", "paragraph", "paragraph")


@dataclass(frozen=True)
class Plot:
    """A picture of a card."""

    title: str
    caption: str
    address: str


@dataclass(frozen=True)
class Card:
    """A model card, its plots apart."""

    html: str
    plots: Sequence[Plot]


def read_card(
    store: Store, paths: RunPaths, pictures: str, *, without: Collection[str] = ()
) -> Card | None:
    """Return a run's model card, None where it has none.

    Args:
        store: with the card.
        paths: the run's plan.
        pictures: the path below which its pictures are served.
        without: the headings of the sections that the page shows itself.
    """
    data = store.read_if_present(f"{paths.card}/card.md")
    return None if data is None else render(data.decode("utf-8", "replace"), pictures, without)


def render(markdown: str, pictures: str, without: Collection[str] = ()) -> Card:
    """Return Markdown as HTML, without any HTML of its own and with no address but our pictures."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    _tame(tokens, pictures)
    plots: list[Plot] = []
    kept = [*_without_sections(_without_plots(tokens, plots), without)]
    return Card(str(parser.renderer.render(kept, parser.options, {})), plots)


def _without_plots(tokens: Sequence[Any], plots: list[Plot]) -> Iterator[Any]:
    """Yield the tokens but those of plots, which are added to the list."""
    at = 0
    while at < len(tokens):
        plot = _plot(tokens[at : at + 3 * len(_PLOT)])
        if plot is None:
            yield tokens[at]
            at += 1
        else:
            plots.append(plot)
            at += 3 * len(_PLOT)


def _plot(tokens: Sequence[Any]) -> Plot | None:
    """Return the plot that some tokens are: a heading, a paragraph, and a picture alone."""
    if [token.type for token in tokens[::3]] != [f"{kind}_open" for kind in _PLOT]:
        return None
    title, caption, picture = (token for token in tokens[1::3])
    children = picture.children or []
    if len(children) != 1 or children[0].type != "image" or not children[0].attrGet("src"):
        return None
    return Plot(_text(title), _text(caption), str(children[0].attrGet("src")))


def _without_sections(tokens: Iterator[Any], headings: Collection[str]) -> Iterator[Any]:
    """Yield the tokens but those below second headings of these words, up to the next one."""
    listed = list(tokens)
    is_left_out = False
    for at, token in enumerate(listed):
        if token.type == "heading_open" and token.tag in {"h1", "h2"}:
            is_left_out = token.tag == "h2" and _text(listed[at + 1]) in headings
        if not is_left_out:
            yield token


def _text(inline: Any) -> str:
    """Return the words of a line, without its markup."""
    return "".join(child.content for child in inline.children or [])


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
