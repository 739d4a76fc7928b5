"""The code that a run uses: its digests, and the refusal to work with any other."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from include.retraining.config.model_code import read_scripts
from include.retraining.config.model_sources import model_sources
from include.retraining.documents import canonical_json, sha256_of
from include.retraining.exceptions import CodeChanged
from include.retraining.runs.manifest import Code

CORE_FOLDER = Path(__file__).parents[1]
TRAINING_LOCK = CORE_FOLDER / "requirements.txt"


def current_code(model: str, *, git_sha: str | None = None, image: str | None = None) -> Code:
    """Return the digests of the code that this process would use for a model.

    Args:
        model: the model's name.
        git_sha: the commit, where the caller knows it. Recorded only.
        image: the image, where the caller knows it. Recorded only.

    Raises:
        ConfigError: when the model has no Python file, or a link among its scripts.
    """
    return Code(
        core_digest=_core_digest(),
        model_digest=_model_digest(model),
        lock_digest=sha256_of(TRAINING_LOCK.read_bytes()),
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        git_sha=git_sha,
        image=image,
    )


def check_same_code(planned: Code, model: str, *, trains: bool = True) -> None:
    """Refuse to work with other code than a run was planned with.

    Args:
        planned: what the run pinned.
        model: the model's name.
        trains: whether this process trains; only then must it run the Python that was planned,
            because the other steps may run in another image.

    Raises:
        CodeChanged: naming what differs.
    """
    current = current_code(model)
    folder = f" or include/models/{model}/" if read_scripts(model) else ""
    names = {
        "core_digest": "include/retraining/",
        "model_digest": f"include/models/{model}.py{folder}",
        "lock_digest": "include/retraining/requirements.txt",
        "python": "the Python version",
    }
    changed = [
        name
        for field, name in names.items()
        if getattr(current, field) != getattr(planned, field) and (trains or field != "python")
    ]
    if changed:
        raise CodeChanged(
            f"{' and '.join(changed)} changed since the run was planned (commit "
            f"{planned.git_sha or 'unknown'}): clear the run from plan_run on, so that it is "
            "planned again; an image must be built anew from the commit that is planned with"
        )


def _model_digest(model: str) -> str:
    """Return one digest of a model's file, of what it imports beside it, of its folder."""
    sources = model_sources(model)
    scripts = read_scripts(model)
    if not scripts and len(sources) == 1:
        return sha256_of(sources[f"{model}.py"])
    digests = [
        *((name, sha256_of(data)) for name, data in sources.items()),
        *((f"{model}/{name}", sha256_of(data)) for name, data in scripts.items()),
    ]
    return hashlib.sha256(canonical_json(sorted(digests))).hexdigest()


def _core_digest() -> str:
    files = [*sorted(CORE_FOLDER.rglob("*.py")), TRAINING_LOCK]
    digests = [
        (path.relative_to(CORE_FOLDER).as_posix(), sha256_of(path.read_bytes())) for path in files
    ]
    return hashlib.sha256(canonical_json(sorted(digests))).hexdigest()
