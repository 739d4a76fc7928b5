"""The files that are a model's own Python: its file, the modules and packages it imports."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from include.retraining.exceptions import ConfigError
from include.retraining.plain_files import plain_files

ROOT = "include"
MODELS = "include.models"
CORE = "include.retraining."


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
    """Return a model's file and everything of ours that it imports but the core, by path.

    What is imported is a model's file, a module of helpers, or a package: then all its files count,
    whichever of them are used. What lies beside `include/models/` begins with `../`. An import
    whose name is made while the code runs is not seen.

    Raises:
        ConfigError: for an import of what is not there, and for a link in a package.
    """
    path = model_file(model)
    sources = {f"{model}.py": path.read_bytes()}
    waiting = list(_imported(sources[f"{model}.py"], MODELS))
    seen = {f"{MODELS}.{model}"}
    while waiting:
        module = waiting.pop()
        if module in seen or module.startswith(CORE):
            continue
        seen.add(module)
        added = _files_of(module)
        sources |= added
        for file, source in added.items():
            if file.endswith(".py"):
                waiting += _imported(source, _package_of(file))
    return sources


def core_rooms(sources: Mapping[str, bytes]) -> set[str]:
    """Return the rooms and files of the core that a model's own Python imports, by name.

    Args:
        sources: as `model_sources` returns them.
    """
    modules = {
        module
        for file, source in sources.items()
        if file.endswith(".py")
        for module in _imported(source, _package_of(file))
    }
    return {module.removeprefix(CORE) for module in modules if module.startswith(CORE)}


def outside_modules(sources: Mapping[str, bytes]) -> set[str]:
    """Return the modules of libraries that a model's own Python imports, by their first name.

    Args:
        sources: as `model_sources` returns them.
    """
    modules: set[str] = set()
    for file, source in sources.items():
        if not file.endswith(".py"):
            continue
        for node in _import_statements(source):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif node.level == 0 and node.module:
                modules.add(node.module.partition(".")[0])
    return modules - sys.stdlib_module_names - {ROOT}


def _package_of(file: str) -> str:
    """Return the package in which a file lies that `model_sources` names."""
    folders = file.split("/")[:-1]
    above = ROOT if folders[:1] == [".."] else MODELS
    return ".".join([above, *(name for name in folders if name != "..")])


def _files_of(module: str) -> dict[str, bytes]:
    """Return a module's file, or all files of a package, by path from `include/models/`."""
    name = module.removeprefix(f"{MODELS}.")
    if name == module:
        name = f"../{module.removeprefix(f'{ROOT}.')}"
    folder = _package_folder(module)
    if folder is None:
        return {f"{name}.py": _module_file(module).read_bytes()}
    try:
        names = plain_files(folder, skip=lambda part: part[0] == "." or part == "__pycache__")
    except ValueError as error:
        raise ConfigError(f"include/models/{name}/{error}") from error
    return {f"{name}/{file}": (folder / file).read_bytes() for file in names}


def _module_file(module: str) -> Path:
    if module.startswith(f"{MODELS}."):
        return model_file(module.removeprefix(f"{MODELS}."))
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ConfigError(f"{module.replace('.', '/')}.py: is imported, and there is no such file")
    return Path(spec.origin)


def _package_folder(module: str) -> Path | None:
    """Return the folder of a package; None for a module."""
    spec = find_spec(module)
    if spec is None or spec.submodule_search_locations is None:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)))
    return None if folder.with_suffix(".py").exists() else folder


def _imported(source: bytes, package: str) -> Iterator[str]:
    """Yield what a file of ``package`` imports from `include`: a model, a room, a package."""
    for node in _import_statements(source):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            above = package.split(".")
            parent = above[: len(above) - node.level + 1] if node.level else []
            module = ".".join([*parent, *([node.module] if node.module else [])])
            modules = [f"{module}.{alias.name}" for alias in node.names]
        for module in modules:
            parts = module.split(".")
            if parts[0] == ROOT and len(parts) > 1:
                depth = 3 if parts[1] in {"models", "retraining"} else 2
                if module != MODELS:
                    yield ".".join(parts[:depth])


def _import_statements(source: bytes) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports of a file, wherever in it."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # importing it will say so
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
