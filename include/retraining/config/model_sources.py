"""The files that are a model's own Python: its file, the modules and packages it imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from include.retraining.exceptions import ConfigError
from include.retraining.plain_files import plain_files

MODELS = "include.models"


def model_file(model: str) -> Path:
    """Return the file that importing the model would run, without importing it.

    Raises:
        ConfigError: when there is none, or a folder hides it.
    """
    spec = find_spec(f"{MODELS}.{model}")
    if spec is None or spec.origin is None:
        raise ConfigError(f"include/models/{model}.py: there is no such file")
    path = Path(spec.origin)
    if path.stem != "__init__":
        return path
    if path.parent.with_suffix(".py").exists():
        raise ConfigError(
            f"include/models/{model}/__init__.py: it hides {model}.py, which defines the model: "
            "remove it"
        )
    raise ConfigError(
        f"include/models/{model}/: is a package of helpers; a model is a file, {model}.py"
    )


def model_sources(model: str) -> dict[str, bytes]:
    """Return a model's file and everything below `include.models` that it imports, by path.

    What is imported is a model's file, a module of helpers, or a package: then all its files count,
    whichever of them are used. An import whose name is made while the code runs is not seen.

    Raises:
        ConfigError: for an import of what is not there, and for a link in a package.
    """
    path = model_file(model)
    found = {f"{model}.py": path.read_bytes()}
    waiting = list(_imported(found[f"{model}.py"], MODELS))
    seen = {model}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        package = _package_folder(name)
        added = (
            {f"{name}.py": model_file(name).read_bytes()}
            if package is None
            else _files_of(name, package)
        )
        found |= added
        for file, source in added.items():
            if file.endswith(".py"):
                inside = file.split("/")[:-1]
                waiting += _imported(source, ".".join([MODELS, *inside]))
    return found


def _package_folder(name: str) -> Path | None:
    """Return the folder of a package below `include.models`; None for a module."""
    spec = find_spec(f"{MODELS}.{name}")
    if spec is None or spec.submodule_search_locations is None:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    return None if folder.with_suffix(".py").exists() else folder


def _files_of(name: str, folder: Path) -> dict[str, bytes]:
    try:
        names = plain_files(folder, skip=lambda part: part[0] == "." or part == "__pycache__")
    except ValueError as error:
        raise ConfigError(f"include/models/{name}/{error}") from error
    return {f"{name}/{file}": (folder / file).read_bytes() for file in names}


def _imported(source: bytes, package: str) -> Iterator[str]:
    """Yield what a file of ``package`` imports from below `include.models`, by its first name."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # importing it will say so
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")
            parent = above[: len(above) - node.level + 1] if node.level else []
            module = ".".join([*parent, *([node.module] if node.module else [])])
            modules = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            if module.startswith(f"{MODELS}."):
                yield module.removeprefix(f"{MODELS}.").partition(".")[0]
