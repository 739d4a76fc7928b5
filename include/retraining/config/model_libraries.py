"""Which libraries a model's own Python imports, and whether a lock of the model's pins each.

What no lock of the model's pins may change without training the model again: it is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions

from include.retraining.config.extras import (
    SHARED_LOCK,
    extra_names,
    normalised,
    own_pins,
    pins,
    read_extra,
)
from include.retraining.config.model import ModelConfig
from include.retraining.config.model_sources import model_sources, outside_modules

USUAL_NAMES = {"sklearn": "scikit-learn", "yaml": "pyyaml"}
"""Modules of the training lock that are named otherwise than their library."""


def unpinned_libraries(config: ModelConfig) -> Iterator[str]:
    """Yield what a model imports and no lock of its own pins, a sentence for each module.

    Raises:
        ConfigError: when an extra that it names has no lock.
    """
    pinned = set(pins(SHARED_LOCK.read_bytes()))
    for name in config.training.extras:
        pinned |= set(pins(read_extra(name)))
    for module in sorted(outside_modules(model_sources(config.name))):
        if USUAL_NAMES.get(module, normalised(module)) in pinned:
            continue
        libraries = _libraries_of(module)
        if libraries and not libraries & pinned:
            yield (
                f"imports {module}, and no lock of this model pins it, so that an upgrade would "
                f"not train it again: {how_to_name(module)}"
            )


def how_to_name(module: str) -> str:
    """Return what to do for a model that imports a module which its locks do not bring."""
    libraries = _libraries_of(module) or {normalised(module)}
    bringing = [name for name in extra_names() if libraries & set(own_pins(name))]
    if bringing:
        return f"write `extras: [{bringing[0]}]` below `training` in its YAML"
    library = min(libraries)
    return (
        f"`make extra NAME={library}` locks and installs it; then write `extras: [{library}]` "
        "below `training` in its YAML (docs/extras.md)"
    )


def _libraries_of(module: str) -> set[str]:
    """Return the installed libraries that bring a module; none for what is no library's."""
    return {normalised(name) for name in installed_modules().get(module, ())}


@cache
def installed_modules() -> dict[str, list[str]]:
    """Return the libraries that bring each module that is installed here, by its name."""
    brought = packages_distributions()
    return {name: list(of) for name, of in brought.items() if name not in sys.stdlib_module_names}
