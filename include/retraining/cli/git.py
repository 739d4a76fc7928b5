"""The models' YAML as a git revision has them: the only place that runs git."""

from __future__ import annotations

import subprocess
from pathlib import Path, PurePosixPath

from include.retraining.config.model import MODELS_FOLDER
from include.retraining.exceptions import ConfigError


def model_texts(revision: str, folder: Path = MODELS_FOLDER) -> dict[str, str]:
    """Return the text of each model's YAML in a revision, by the model's name.

    Args:
        revision: a commit, branch or tag, as git knows it.
        folder: the models' folder in a git work tree.

    Raises:
        ConfigError: when there is no git, no repository or no such revision.
    """
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^0")
    names = _git(folder, "ls-tree", "-z", "--name-only", commit.strip()).split("\0")
    files = [PurePosixPath(name) for name in names if name.endswith(".yaml")]
    return {file.stem: _git(folder, "show", f"{commit.strip()}:./{file}") for file in files}


def _git(folder: Path, command: str, *arguments: str) -> str:
    words = ["git", "-C", str(folder), command, *arguments]
    try:
        done = subprocess.run(words, capture_output=True, check=False)  # noqa: S603 no shell
    except OSError as error:
        raise ConfigError(f"git cannot be run: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        what = said or f"{arguments[-1].removesuffix('^0')!r} is no revision of this repository"
        raise ConfigError(f"git {command}: {what}")
    return done.stdout.decode(errors="replace")
