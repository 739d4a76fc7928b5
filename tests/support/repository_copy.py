"""A copy of the repository to change: more models, other values, planted faults.

Tests and benchmarks run Airflow on such a copy, so that the clone itself stays as it is.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("dags", "include", "plugins")
FILES = (".airflowignore", "airflow_settings.yaml")


def copy_repository(target: Path) -> Path:
    """Copy what Airflow reads of the repository and return the copy's root.

    The DAGs `watch_models` and `upkeep` are paused there until someone starts them.
    """
    for name in FOLDERS:
        shutil.copytree(
            REPOSITORY / name, target / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in FILES:
        shutil.copy(REPOSITORY / name, target / name)
    # What runs when it pleases would act on what a test is about to plant.
    for name in ("watch_models", "upkeep"):
        file = target / "dags" / f"{name}.py"
        text = file.read_text(encoding="utf-8")
        paused = text.replace("is_paused_upon_creation=False", "is_paused_upon_creation=True")
        assert paused != text, f"{file} is not unpaused by itself any more"
        file.write_text(paused, encoding="utf-8")
    return target


def add_model(
    root: Path,
    name: str,
    *,
    like: str = "diabetes_progression",
    values: Mapping[str, Any] | None = None,
    code: Callable[[str], str] | None = None,
) -> None:
    """Add a model, or change one that is there, in a copy of the repository.

    Args:
        root: the copy.
        name: the model's name; the same as ``like`` to change it in place.
        like: the model to start from; its landing folder becomes the new model's own.
        values: YAML values to set, merged into sections: `{"trigger": {"timeout_seconds": 10}}`.
        code: turns the Python file's text into the new one's.
    """
    folder = root / "include" / "models"
    text = (folder / f"{like}.yaml").read_text(encoding="utf-8")
    config = yaml.safe_load(text.replace(f"landing/{like}", f"landing/{name}"))
    config["name"] = name
    _merge(config, values or {})
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    source = (folder / f"{like}.py").read_text(encoding="utf-8")
    (folder / f"{name}.py").write_text(code(source) if code else source, encoding="utf-8")


def _merge(target: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value
