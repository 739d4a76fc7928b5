"""The repository's Markdown, taken apart: its links, its anchors and the commands it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^ *(```+)[^\n]*\n(.*?)^ *\1$", re.MULTILINE | re.DOTALL)
# Between as many backticks as it began with, within a paragraph.
_SPAN = re.compile(r"(?<!`)(`+)(?!`)((?:(?!\n\n).)+?)(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def pages() -> list[Path]:
    """Return every Markdown file of the repository, but for what lies in hidden folders."""
    folders = [folder for folder in ROOT.iterdir() if folder.is_dir() and folder.name[0] != "."]
    found = [*ROOT.glob("*.md"), *(page for folder in folders for page in folder.rglob("*.md"))]
    return sorted(found)


def links(page: Path) -> Iterator[str]:
    """Return where a page's links lead, images included, but for other sites."""
    prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
    # A link's text may be code, its address never is.
    for target in _LINK.findall(_SPAN.sub("code", prose)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target


def anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page; GitHub numbers those that come again."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        text = _LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading)
        name, number = anchor(text), 1
        while name in found:
            name, number = f"{anchor(text)}-{number}", number + 1
        found.add(name)
    return found


def spans(page: Path) -> Iterator[str]:
    """Return each piece of code between backticks, on one line."""
    for _, span in _SPAN.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        yield " ".join(span.split())


def code(page: Path) -> Iterator[str]:
    """Return each line of code of a page: of its blocks, and what stands between backticks."""
    for _, block in _FENCE.findall(page.read_text(encoding="utf-8")):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()
    yield from spans(page)
