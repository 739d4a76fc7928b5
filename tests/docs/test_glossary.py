"""The glossary points at what is there."""

from __future__ import annotations

import re

from include.pages.attention import Urgency
from include.retraining.config.notice_kind import NoticeKind
from tests.docs.markdown_files import ROOT

PAGE = ROOT / "docs" / "glossary.md"
ROWS = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| **")]
PLACE = re.compile(r"`(\w+)` of \[[\w.]+\]\(([\w./]+)\)")
TITLE = re.compile(r'the (?:task|DAG) "([^"]+)"')


def test_each_name_is_in_the_file_it_is_said_to_be_in() -> None:
    """Whoever follows a word finds it."""
    found = [place for row in ROWS for place in PLACE.findall(row)]
    assert len(found) >= 40
    missing = [
        (name, file)
        for name, file in found
        if not re.search(rf"\b{name}\b", (PAGE.parent / file).read_text(encoding="utf-8"))
    ]
    assert missing == []


def test_each_title_is_one_of_the_airflow_ui() -> None:
    """Tasks and DAGs are called as the UI calls them."""
    files = [*(ROOT / "dags").glob("*.py"), ROOT / "include/orchestration/backends/job_task.py"]
    sources = "".join(file.read_text(encoding="utf-8") for file in files)
    titles = {title for row in ROWS for title in TITLE.findall(row)}
    assert len(titles) >= 8
    assert {title for title in titles if f'"{title}"' not in sources} == set()


def test_words_are_listed_once() -> None:
    """One word, one meaning."""
    words = [row.split("**")[1] for row in ROWS]
    assert len(set(words)) == len(words)


def test_each_step_of_a_scale_of_severity_is_listed_and_compared() -> None:
    """The scales' table has every kind and urgency, and the table below it places each of them."""
    _, _, section = PAGE.read_text(encoding="utf-8").partition("### Three scales of severity")
    tables = [block for block in section.split("\n\n") if block.startswith("| ")]
    kinds, urgencies = {kind.value for kind in NoticeKind}, {one.name.lower() for one in Urgency}
    for table in tables[:2]:
        assert kinds | urgencies <= set(re.findall(r"`(\w+)`", table))
