"""Importing a model, and the helpers it imports from `include/`, as their files are now.

Never from bytecode: Python takes that for current when the file's size and the second of its last
change agree (https://docs.python.org/3/reference/import.html#cached-bytecode-invalidation). So an
edit of equal length, `int` to `str`, within the same second would train with the code from before
the edit, under the digest of the code after it.
"""

from __future__ import annotations

import importlib
import sys
from functools import lru_cache
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType

from include.retraining.config.model_sources import MODELS, ROOT

OTHER_ROOMS = (("retraining",), ("orchestration",))
"""Whose code is deployed as a whole, and not edited between two runs."""


class UncachedSource(SourceFileLoader):
    """Compiles a file each time that it is imported; bytecode is neither read nor written."""

    def get_code(self, fullname: str) -> CodeType:
        """Return what the file says now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def import_model(name: str) -> ModuleType:
    """Import a model's module, and with it the helpers beside it, from their source.

    Raises:
        Exception: what the module raises.
    """
    importlib.import_module(MODELS)
    if _find_models not in sys.path_hooks:
        sys.path_hooks.insert(0, _find_models)
    for path in filter(_is_of_models, list(sys.path_importer_cache)):
        finder = sys.path_importer_cache[path]
        if not isinstance(finder, _Finder):
            del sys.path_importer_cache[path]
    return importlib.import_module(f"{MODELS}.{name}")


class _Finder(FileFinder):
    """Finds what is beside a model."""


def _find_models(path: str) -> _Finder:
    if not _is_of_models(path):
        raise ImportError("not a folder of models")
    loaders = (ExtensionFileLoader, EXTENSION_SUFFIXES), (UncachedSource, SOURCE_SUFFIXES)
    return _Finder(path, *loaders)


def _is_of_models(path: str) -> bool:
    parts = _parts(path)
    if any(_is_below(parts, _parts(folder)) for folder in sys.modules[MODELS].__path__):
        return True
    return any(
        parts[len(root) :][:1] not in OTHER_ROOMS
        for root in map(_parts, sys.modules[ROOT].__path__)
        if _is_below(parts, root)
    )


def _is_below(parts: tuple[str, ...], folder: tuple[str, ...]) -> bool:
    return parts[: len(folder)] == folder


@lru_cache(maxsize=10_000)
def _parts(path: str) -> tuple[str, ...]:
    """Return a path's parts: each folder that Python imports from is asked for at each import."""
    return Path(path).parts
