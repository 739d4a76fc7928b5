"""What the Markdown names is there: pages, anchors, files, targets of make, commands."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest

from include.retraining.config.step_names import JOB_STEPS
from tests.docs.markdown_files import ROOT, anchors, code, links, pages, spans
from tests.support.command_line import options_by_command

PAGES = pages()
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
# Where a page may say `make NAME` and `include/models/NAME.yaml`.
PLACEHOLDER = re.compile(r"[A-Z]{3,}|…|\*|\{")
ROOMS = ("dags", "include", "plugins", "tests", "benchmarks", "docs", "deploy")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link leads to a file of the repository and, where it names one, to an anchor in it."""
    broken = []
    for target in links(page):
        name, _, fragment = unquote(target).partition("#")
        file = (page.parent / name).resolve() if name else page
        lies_inside = file.is_relative_to(ROOT) and file.exists()
        if not lies_inside or (fragment and file.suffix == ".md" and fragment not in anchors(file)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    """A path of the repository between backticks is one, from its root."""
    missing = []
    for span in spans(page):
        is_path = re.fullmatch(rf"({'|'.join(ROOMS)})/[\w./-]+", span)
        if not is_path or PLACEHOLDER.search(span):
            continue
        if not (ROOT / span).exists():
            missing.append(span)
    assert missing == []


def targets() -> set[str]:
    """Return what `make` can be asked for."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    heads = re.findall(r"^([a-z][a-z -]*):(?!=)", makefile, re.MULTILINE)
    return {name for head in heads for name in head.split()}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_target_of_make_is_one(page: Path) -> None:
    """What a page tells to make can be made."""
    named = {
        name
        for line in code(page)
        for words in re.findall(r"(?:^|&& |; |\$ )make ((?:[a-z][a-z-]*(?: |$))+)", line)
        for name in words.split()
    }
    assert named - targets() == set()


def problem_of(module: str, words: list[str]) -> str | None:
    """Return what is wrong with `python -m MODULE WORDS`."""
    if find_spec(module) is None:
        return f"{module} is no module"
    if module != "include.retraining" or not words or PLACEHOLDER.search(words[0]):
        return None
    if words[0] in JOB_STEPS:
        return None
    commands = options_by_command()
    if words[0] not in commands:
        return None if words[0].startswith("-") else f"{words[0]} is no command"
    named = {word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z-]+(=.*)?", word)}
    unknown = sorted(named - commands[words[0]])
    return f"{words[0]} does not know {', '.join(unknown)}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_of_ours_is_one(page: Path) -> None:
    """A module that a page runs is there, and so are the command and the options it is given."""
    found = []
    for line in code(page):
        for module, rest in re.findall(
            r"python -m ((?:include|tests|benchmarks)[\w.]*)([^|;&>)]*)", line
        ):
            words = [word.strip("[]`,.'\"") for word in rest.split("#")[0].split()]
            if problem := problem_of(module.rstrip("."), [word for word in words if word]):
                found.append(f"{line.strip()}: {problem}")
    assert found == []


def test_every_variable_of_ours_is_read_by_the_code() -> None:
    """An environment variable that a page names does something."""
    files = [*(ROOT / "include").rglob("*.py"), *ROOT.glob("*.yaml"), *ROOT.glob("deploy/**/*.*")]
    sources = "".join(file.read_text(encoding="utf-8") for file in files)
    ours = r"\b(?:RETRAINING|AIRFLOW_API|SLACK)_[A-Z_]+\b"
    named = {name for page in PAGES for line in code(page) for name in re.findall(ours, line)}
    assert {"RETRAINING_STORE", "AIRFLOW_API_TOKEN"} <= named
    assert {name for name in named if name not in sources} == set()


def test_the_markdown_was_found() -> None:
    """These tests never pass on nothing."""
    assert {"README.md", "CONTRIBUTING.md", "docs/README.md"} <= set(IDS)
    assert {"run", "test", "lint"} <= targets()
    assert {"why", "rollback", "validate-config"} <= set(options_by_command())
    assert list(links(ROOT / "README.md"))


def test_each_decision_has_a_number_of_its_own() -> None:
    """No two decisions share a number, and each title begins with the number of its file."""
    files = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    numbers = [file.name[:4] for file in files]
    assert numbers == sorted(set(numbers))
    titles = [file.read_text().partition(": ")[0] for file in files]
    assert titles == [f"# {number}" for number in numbers]
