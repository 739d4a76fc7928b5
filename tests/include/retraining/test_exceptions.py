"""The tree of errors that `exceptions.py` draws."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from include.retraining import exceptions
from include.retraining.exceptions import RetrainingError

CORE = Path(exceptions.__file__).parent


def drawn() -> dict[str, str]:
    """Return the tree in the docstring: each error's base."""
    lines = (exceptions.__doc__ or "").splitlines()
    path = ["RetrainingError"]
    bases = {}
    for line in lines[lines.index("RetrainingError") + 1 :]:
        branch = re.match(r"((?:│   |    )*)[├└]── (\w+)", line)
        if branch:
            depth = len(branch[1]) // 4 + 1
            path[depth:] = [branch[2]]
            bases[branch[2]] = path[depth - 1]
    return bases


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    """Each error is drawn below its base, and nothing else is drawn."""
    classes = (value for value in vars(exceptions).values() if isinstance(value, type))
    bases = {one.__name__: one.__base__.__name__ for one in classes if one is not RetrainingError}  # type: ignore[union-attr]
    assert drawn() == bases


def test_no_other_file_of_the_core_defines_an_error_for_people() -> None:
    """A class whose base is an error of the tree stands in the tree's own file."""
    errors = {name for name in vars(exceptions) if not name.startswith("_")}
    elsewhere = [
        f"{file.name}: {node.name}"
        for file in CORE.rglob("*.py")
        if file.name != "exceptions.py"
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id in errors for base in node.bases)
    ]
    assert not elsewhere
