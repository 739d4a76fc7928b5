"""The code that a run uses: its digests, and the refusal to work with any other.

Two digests say what code does. `training_digest` is over all that can change a model, and is the
code's part of the fingerprint; `judging_digest` is over what scores and judges it. Neither changes
with a comment, a docstring or a line's layout, nor with what is out of reach: who is notified, how
a page looks. The other digests are over bytes: within one run, all code is the very same.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePath

from include.retraining.config.extras import own_pins, read_extra
from include.retraining.config.model_code import read_scripts
from include.retraining.config.model_sources import core_rooms, model_sources
from include.retraining.documents import canonical_json, sha256_of
from include.retraining.exceptions import CodeChanged
from include.retraining.fingerprint.pinned import Code, PinnedExtra
from include.retraining.fingerprint.syntax import meaning

CORE_FOLDER = Path(__file__).parents[1]
JOBS_LOCK = "requirements.txt"
"""Of all that a job installs."""

TRAINS = (
    "training",
    "data",
    "runs",
    "fingerprint",
    "store",
    "config",
    "formatting",
    "__init__.py",
    "documents.py",
    "exceptions.py",
    "plain_files.py",
    "registry/versions.py",
    "steps/train.py",
)
"""What a fit can reach: the rooms below the line, which import nothing above it, what
`steps/train.py` imports besides, and the lock that lies in `training/`."""

WHOLE_CORE = (".",)

JUDGES = (
    "evaluation",
    "gate",
    "decisions",
    "registry",
    "approval",
    "steps/validate.py",
    "steps/evaluate.py",
    "steps/decide.py",
)
"""What checks the data, scores and judges, beside what trains; with the lock in `evaluation/`."""

OF_BYTES = ("core_digest", "model_digest", "lock_digest")
"""The digests of `Code` that together are over every byte that the others are made of."""


def current_code(
    model: str,
    *,
    extras: Sequence[str] = (),
    scorers: Sequence[str] = (),
    known: Code | None = None,
    git_sha: str | None = None,
    image: str | None = None,
) -> Code:
    """Return the digests of the code that this process would use for a model.

    Args:
        model: the model's name.
        extras: the names of its extras (`training.extras`).
        scorers: the files beside the models that hold the scorers of its own metrics.
        known: of an earlier run: where its files are the same byte for byte, so is what they mean,
            and they are not parsed again.
        git_sha: the commit, where the caller knows it. Recorded only.
        image: the image, where the caller knows it. Recorded only.

    Raises:
        ConfigError: when the model has no Python file, an extra no lock, or a link is among its
            scripts.
    """
    current = _digests_of_bytes(model, extras, scorers)
    trains, judges = None, None
    if known is not None and all(getattr(known, name) == current[name] for name in OF_BYTES):
        trains, judges = known.training_digest, known.judging_digest
    return Code(
        **current,
        git_sha=git_sha,
        image=image,
        training_digest=trains or training_digest(model, extras),
        judging_digest=judges or judging_digest(scorers),
        scorers=tuple(scorers),
        extras=tuple(_pinned(name) for name in extras),
    )


def code_by_bytes(
    model: str,
    *,
    extras: Sequence[str] = (),
    git_sha: str | None = None,
    image: str | None = None,
) -> Code:
    """Return the digests that `check_same_code` compares, for a run that trains and judges nothing.

    Args:
        model: the model's name.
        extras: as of `current_code`.
        git_sha: as of `current_code`.
        image: as of `current_code`.

    Raises:
        ConfigError: as `current_code`.
    """
    return Code(
        **_digests_of_bytes(model, extras, ()),
        git_sha=git_sha,
        image=image,
        scorers=(),
        extras=tuple(_pinned(name) for name in extras),
    )


def _pinned(extra: str) -> PinnedExtra:
    libraries = tuple(f"{name}=={version}" for name, version in sorted(own_pins(extra).items()))
    return PinnedExtra(name=extra, libraries=libraries)


def training_digest(model: str, extras: Sequence[str] = ()) -> str:
    """Return one digest of all code that can change a model: ours, its own, and the libraries.

    A model that imports of the core what no fit reaches otherwise is trained by the whole core.

    Args:
        model: the model's name.
        extras: the names of its extras. Without one, the digest is what it was before there were
            any.

    Raises:
        ConfigError: when the model has no Python file, an extra no lock, or a link is among its
            scripts.
    """
    sources = model_sources(model)
    # Not by the model's own name: the same code under another name makes the same version.
    own = {
        "model.py" if name == f"{model}.py" else f"models/{name}": data
        for name, data in sources.items()
    }
    own |= {f"model/{name}": data for name, data in read_scripts(model).items()}
    own |= {f"extras/{name}/{JOBS_LOCK}": read_extra(name) for name in extras}
    reached = {name.removesuffix(".py") for name in TRAINS}
    is_covered = core_rooms(sources) <= reached
    return _digest_of_meaning({**_files(TRAINS if is_covered else WHOLE_CORE), **own})


def judging_digest(scorers: Sequence[str] = ()) -> str:
    """Return one digest of the code that scores and judges, and of the libraries.

    Args:
        scorers: the files beside the models that hold the scorers of a model's own metrics. Without
            one, it is the same for all models.
    """
    sources = _scorer_sources(scorers)
    own = {f"models/{name}": data for name, data in sources.items()}
    reached = {name.removesuffix(".py") for name in (*TRAINS, *JUDGES)}
    is_covered = core_rooms(sources) <= reached
    return _digest_of_meaning({**_files(JUDGES if is_covered else WHOLE_CORE), **own})


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
    extras = [extra.name for extra in planned.extras]
    current = _digests_of_bytes(model, extras, planned.scorers)
    folder = f" or include/models/{model}/" if read_scripts(model) else ""
    scorers = "".join(f" or include/models/{name}.py" for name in planned.scorers)
    names = {
        "core_digest": "include/retraining/",
        "model_digest": f"include/models/{model}.py{folder}{scorers}",
        "lock_digest": " or ".join([
            "include/retraining/requirements.txt",
            *(f"include/extras/{name}.txt" for name in extras),
        ]),
        "python": "the Python version",
    }
    changed = [
        name
        for field, name in names.items()
        if current[field] != getattr(planned, field) and (trains or field != "python")
    ]
    if changed:
        raise CodeChanged(
            f"{' and '.join(changed)} changed since the run was planned (commit "
            f"{planned.git_sha or 'unknown'}): clear the run from plan_run on, so that it is "
            "planned again; an image must be rebuilt from the commit that is planned with"
        )


def check_same_judge(planned: Code) -> None:
    """Refuse to judge with other code than a run was planned with.

    Else its record would name code that did not judge it, and answer for that code later.

    Args:
        planned: what the run pinned; one of before this was pinned is not compared.

    Raises:
        CodeChanged: when it differs.
    """
    if planned.core_digest == _core_digest():
        return
    if planned.judging_digest not in {None, judging_digest(planned.scorers)}:
        raise CodeChanged(
            "the code that judges changed since the run was planned (commit "
            f"{planned.git_sha or 'unknown'}): clear the run from plan_run on, so that it is "
            "planned again; what was trained stays"
        )


def _digests_of_bytes(model: str, extras: Sequence[str], scorers: Sequence[str]) -> dict[str, str]:
    return {
        "core_digest": _core_digest(),
        "model_digest": _model_digest(model, scorers),
        "lock_digest": _lock_digest(extras),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }


def _lock_digest(extras: Sequence[str]) -> str:
    """Return one digest of the lock of all jobs, and of those of some extras."""
    common = sha256_of((CORE_FOLDER / JOBS_LOCK).read_bytes())
    if not extras:
        return common
    return sha256_of(canonical_json([common, *(sha256_of(read_extra(name)) for name in extras)]))


def _files(parts: tuple[str, ...]) -> dict[str, bytes]:
    """Return the files of some rooms, and some files of the core, by path.

    All that code may read counts; bytecode, hidden files and Markdown do not.
    """
    contents: dict[str, bytes] = {}
    for part in parts:
        place = CORE_FOLDER / part
        paths = [place] if place.suffix else sorted(place.rglob("*"))
        for path in filter(_counts, paths):
            contents[path.relative_to(CORE_FOLDER).as_posix()] = path.read_bytes()
    return contents


def _counts(path: Path) -> bool:
    names = path.relative_to(CORE_FOLDER).parts
    is_litter = any(name[0] == "." or name == "__pycache__" for name in names)
    return not is_litter and path.suffix not in {".pyc", ".md"} and not path.is_dir()


def _digest_of_meaning(files: dict[str, bytes]) -> str:
    counted = {name: _digest(PurePath(name).name, data) for name, data in files.items()}
    return sha256_of(canonical_json(counted))


@lru_cache(maxsize=1000)
def _digest(name: str, data: bytes) -> str:
    """Return the digest of what a file says; the same file is parsed once in a process."""
    if name.endswith(".py"):
        return sha256_of(meaning(data))
    return sha256_of(_pins(data) if name == JOBS_LOCK else data)


def _pins(lock: bytes) -> bytes:
    """Return what a lock installs, without who asks for it and the files' hashes."""
    lines = (line.rstrip(b" \\") for line in lock.splitlines())
    return b"\n".join(line for line in lines if line and not line.startswith((b" ", b"#")))


def _scorer_sources(scorers: Sequence[str]) -> dict[str, bytes]:
    """Return the files that hold a model's scorers, and what they import beside the models."""
    return {name: data for module in scorers for name, data in model_sources(module).items()}


def _model_digest(model: str, scorers: Sequence[str]) -> str:
    """Return one digest of a model's file, what it imports beside it, its folder, its scorers."""
    sources = {**_scorer_sources(scorers), **model_sources(model)}
    scripts = read_scripts(model)
    if not scripts and len(sources) == 1:
        return sha256_of(sources[f"{model}.py"])
    digests = [
        *((name, sha256_of(data)) for name, data in sources.items()),
        *((f"{model}/{name}", sha256_of(data)) for name, data in scripts.items()),
    ]
    return hashlib.sha256(canonical_json(sorted(digests))).hexdigest()


def _core_digest() -> str:
    digests = sorted((name, sha256_of(data)) for name, data in _files(WHOLE_CORE).items())
    return sha256_of(canonical_json(digests))
