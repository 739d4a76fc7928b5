"""The page on the architecture keeps up with the code it describes."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest

from include.retraining.store import layout
from tests.docs.markdown_files import ROOT, spans

PAGE = ROOT / "docs" / "architecture.md"


def test_the_store_is_laid_out_as_the_code_says() -> None:
    """The list of keys and what is said of runs are the code's own words."""
    assert layout.__doc__ is not None
    _, keys, runs = layout.__doc__.strip().split("\n\n")
    text = PAGE.read_text(encoding="utf-8")
    assert f"```text\n{keys}\n```\n\n{runs}\n" in text


def test_every_file_it_sends_a_reader_to_is_there() -> None:
    """Files are named without the folder that the heading names, or from it on."""
    there = {f"/{file.relative_to(ROOT)}" for file in (ROOT / "include").rglob("*.py")}
    named = {span for span in spans(PAGE) if re.fullmatch(r"(?!dags/)[a-z_/]+\.py", span)}
    assert len(named) >= 10
    assert [name for name in named if not any(file.endswith(f"/{name}") for file in there)] == []


def section(package: str) -> str:
    """Return what the page says of a package."""
    _, _, text = PAGE.read_text(encoding="utf-8").partition(f"\n**`include/{package}/`** ")
    return text.partition("\n**`")[0]


def layers(package: str) -> list[set[str]]:
    """Return the rooms of a package from the highest to the lowest, as the contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        one
        for one in settings["tool"]["importlinter"]["contracts"]
        if one.get("containers") == [f"include.{package}"]
    )
    return [set(layer.split(" | ")) for layer in contract["layers"]]


@pytest.mark.parametrize("package", ["retraining", "orchestration"])
def test_the_picture_of_the_rooms_is_the_contract(package: str) -> None:
    """Each row of the picture stands on the next one, as `lint-imports` holds them."""
    arrow = re.compile(r"^    (\w+(?: & \w+)*) --> (\w+(?: & \w+)*)$", re.MULTILINE)
    arrows = arrow.findall(section(package))
    drawn = [arrows[0][0], *(lower for _, lower in arrows)]
    assert [upper for upper, _ in arrows[1:]] == [lower for _, lower in arrows[:-1]]
    shown = [set(re.sub(r"\bmain\b", "__main__", row).split(" & ")) for row in drawn]
    assert shown == layers(package)


@pytest.mark.parametrize(("package", "least"), [("retraining", 18), ("orchestration", 7)])
def test_each_room_says_what_it_is_and_where_to_start(package: str, least: int) -> None:
    """The table has each room's own words and its first file; `__init__.py` holds nothing else."""
    text = section(package)
    rooms = sorted(file.parent for file in (ROOT / "include" / package).glob("*/__init__.py"))
    assert len(rooms) >= least
    for room in rooms:
        tree = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
        words = ast.get_docstring(tree) or ""
        start = re.search(r"Start\s+at\s+`(\w+\.py)`", words)
        assert start is not None, room
        assert (room / start[1]).exists()
        link = f"[{start[1]}](../include/{package}/{room.name}/{start[1]})"
        assert f"| `{room.name}/` | {words.splitlines()[0]} | {link} |" in text
        assert len(tree.body) == 1, room
        assert 3 <= len(words.splitlines()) <= 6
