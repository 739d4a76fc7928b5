"""The page on the architecture keeps up with the code it describes."""

from __future__ import annotations

import ast
import re
import tomllib

from include.retraining.store import layout
from tests.docs.markdown_files import ROOT, spans

PAGE = ROOT / "docs" / "architecture.md"
CORE = ROOT / "include" / "retraining"


def test_the_store_is_laid_out_as_the_code_says() -> None:
    """The list of keys and what is said of runs are the code's own words."""
    assert layout.__doc__ is not None
    _, keys, runs = layout.__doc__.strip().split("\n\n")
    text = PAGE.read_text(encoding="utf-8")
    assert f"```text\n{keys}\n```\n\n{runs}\n" in text


def test_every_file_it_sends_a_reader_to_is_there() -> None:
    """Files are named without their folder, which the heading names."""
    there = {file.name for file in (ROOT / "include").rglob("*.py")}
    named = {span for span in spans(PAGE) if re.fullmatch(r"[a-z_]+\.py", span)}
    assert len(named) >= 8
    assert named - there == set()


def layers() -> list[set[str]]:
    """Return the rooms of the core from the highest to the lowest, as the contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        one
        for one in settings["tool"]["importlinter"]["contracts"]
        if one.get("containers") == ["include.retraining"]
    )
    return [set(layer.split(" | ")) for layer in contract["layers"]]


def test_the_picture_of_the_rooms_is_the_contract() -> None:
    """Each row of the picture stands on the next one, as `lint-imports` holds them."""
    text = PAGE.read_text(encoding="utf-8").partition("is the core. Its rooms")[2]
    arrows = re.findall(r"^    (\w+(?: & \w+)*) --> (\w+(?: & \w+)*)$", text, re.MULTILINE)
    drawn = [arrows[0][0], *(lower for _, lower in arrows)]
    assert [upper for upper, _ in arrows[1:]] == [lower for _, lower in arrows[:-1]]
    shown = [{"__main__" if room == "main" else room for room in row.split(" & ")} for row in drawn]
    assert shown == layers()


def test_each_room_says_what_it_is_and_where_to_start() -> None:
    """The table has each room's own words and its first file; `__init__.py` holds nothing else."""
    text = PAGE.read_text(encoding="utf-8")
    rooms = sorted(file.parent for file in CORE.glob("*/__init__.py"))
    assert len(rooms) >= 18
    for room in rooms:
        tree = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
        words = ast.get_docstring(tree) or ""
        start = re.search(r"Start\s+at\s+`(\w+\.py)`", words)
        assert start is not None, room
        assert (room / start[1]).exists()
        link = f"[{start[1]}](../include/retraining/{room.name}/{start[1]})"
        assert f"| `{room.name}/` | {words.splitlines()[0]} | {link} |" in text
        assert len(tree.body) == 1, room
        assert 3 <= len(words.splitlines()) <= 6
