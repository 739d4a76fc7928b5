"""The code a run uses: its digests, and the three things a model's Python file defines.

A model's file, `include/models/NAME.py`, defines `Contract` (a pandera `DataFrameModel`),
`FEATURES` (the columns the model reads, in order) and the entry point that its YAML names.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from include.retraining.config import ModelConfig
from include.retraining.documents import canonical_json, sha256_of
from include.retraining.exceptions import CodeChanged, ConfigError
from include.retraining.manifest import Code

CORE_FOLDER = Path(__file__).parent
TRAINING_LOCK = CORE_FOLDER / "requirements.txt"


@dataclass(frozen=True)
class ModelCode:
    """What a model's Python file defines."""

    contract: type[Any]
    """The data contract: a pandera `DataFrameModel`."""
    features: tuple[str, ...]
    """The columns the model reads, in order."""
    build_estimator: Callable[[int], Any]
    """Returns an unfitted scikit-learn estimator for a seed."""


def current_code(model: str, *, git_sha: str | None = None, image: str | None = None) -> Code:
    """Return the digests of the code that this process would use for a model.

    Args:
        model: the model's name.
        git_sha: the commit, where the caller knows it. Recorded only.
        image: the image, where the caller knows it. Recorded only.

    Raises:
        ConfigError: when the model has no Python file.
    """
    return Code(
        core_digest=_core_digest(),
        model_digest=sha256_of(_model_file(model).read_bytes()),
        lock_digest=sha256_of(TRAINING_LOCK.read_bytes()),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        git_sha=git_sha,
        image=image,
    )


def check_same_code(planned: Code, model: str) -> None:
    """Refuse to work with other code than a run was planned with.

    Raises:
        CodeChanged: naming what differs.
    """
    current = current_code(model)
    names = {
        "core_digest": "include/retraining/",
        "model_digest": f"include/models/{model}.py",
        "lock_digest": "include/retraining/requirements.txt",
        "python": "the Python version",
    }
    changed = [
        name for field, name in names.items() if getattr(current, field) != getattr(planned, field)
    ]
    if changed:
        raise CodeChanged(
            f"{' and '.join(changed)} changed since the run was planned (commit "
            f"{planned.git_sha or 'unknown'}): clear the run from plan_run on, so that it is "
            "planned again"
        )


def load_model_code(config: ModelConfig) -> ModelCode:
    """Import a model's Python file and check what it defines.

    Raises:
        ConfigError: naming the file, what is wrong, and what it must define.
    """
    where = f"include/models/{config.name}.py"
    _model_file(config.name)
    try:
        module = importlib.import_module(f"include.models.{config.name}")
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        raise ConfigError(f"{where}: cannot be imported: {type(error).__name__}: {text}") from error
    contract = getattr(module, "Contract", None)
    if not (isinstance(contract, type) and hasattr(contract, "to_schema")):
        raise ConfigError(f"{where}: must define `Contract`, a pandera DataFrameModel")
    build = getattr(module, config.training.entry_point, None)
    if not callable(build):
        raise ConfigError(
            f"{where}: must define the function {config.training.entry_point!r} that "
            f"training.entry_point of {config.name}.yaml names"
        )
    features = getattr(module, "FEATURES", None)
    return ModelCode(contract, _checked_features(features, config, where), build)


def _checked_features(features: Any, config: ModelConfig, where: str) -> tuple[str, ...]:
    if (
        not isinstance(features, tuple | list)
        or not features
        or not all(isinstance(name, str) for name in features)
    ):
        raise ConfigError(f"{where}: must define `FEATURES`, a tuple of column names")
    if len(set(features)) != len(features):
        raise ConfigError(f"{where}: FEATURES: a column is named twice")
    data = config.data
    reasons = {
        **dict.fromkeys(data.never_features, "gives the label away (data.never_features)"),
        **dict.fromkeys(config.protected_columns, "is protected: it is audited, never used"),
        data.label: "is the label",
        data.key: "is the key",
    }
    for name in features:
        if name in reasons:
            raise ConfigError(f"{where}: FEATURES: {name!r} {reasons[name]}")
    return tuple(features)


def _model_file(model: str) -> Path:
    """Return the file that importing the model would run, without importing it."""
    spec = find_spec(f"include.models.{model}")
    if spec is None or spec.origin is None:
        raise ConfigError(f"include/models/{model}.py: there is no such file")
    return Path(spec.origin)


def _core_digest() -> str:
    files = [*sorted(CORE_FOLDER.rglob("*.py")), TRAINING_LOCK]
    digests = [
        (path.relative_to(CORE_FOLDER).as_posix(), sha256_of(path.read_bytes())) for path in files
    ]
    return hashlib.sha256(canonical_json(sorted(digests))).hexdigest()
