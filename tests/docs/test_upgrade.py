"""The page on upgrading names what an upgrade of Airflow may break."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.docs.markdown_files import ROOT, spans

PAGE = ROOT / "docs" / "upgrade.md"
# What Airflow promises to keep: https://airflow.apache.org/docs/apache-airflow/stable/public-airflow-interface.html
PUBLIC = ("airflow.sdk", "airflow.providers", "airflow.triggers", "airflow.plugins_manager")
PRIVATE = ("airflow.sdk.execution_time", "airflow.sdk.api")


def imported(file: Path) -> Iterator[str]:
    """Return the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def is_private(module: str) -> bool:
    """Whether Airflow may change a module without a word."""
    return module.startswith("airflow.") and (
        module.startswith(PRIVATE) or not module.startswith(PUBLIC)
    )


def test_every_use_of_what_airflow_may_change_is_listed() -> None:
    """Whoever upgrades Airflow finds each file that imports more than its public interface."""
    rooms = ("dags", "include", "plugins")
    files = [file for room in rooms for file in (ROOT / room).rglob("*.py")]
    using = {str(file.relative_to(ROOT)) for file in files if any(map(is_private, imported(file)))}
    assert len(using) >= 3
    assert using - set(spans(PAGE)) == set()
