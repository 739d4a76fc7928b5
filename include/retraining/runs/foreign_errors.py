"""What may be shown of an error from foreign code: its type and its place, never its text.

A library, a model's own code or a program quotes what it stumbled over, and that may be a cell of
a person's row. The full text is in the log of the task; records, messages and pages show what this
module returns.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import TrainingError
from include.retraining.runs.exhaustion import exhausted

ROOT = Path(__file__).resolve().parents[3]
OWN_FOLDERS = frozenset({"include", "dags", "plugins"})
IN_THE_LOG = "its text is in the task's log only, as it may hold values of the data"


def withheld(error: BaseException, log: logging.Logger) -> str:
    """Log an error in full, and return what may be shown of it elsewhere.

    Args:
        error: raised by a library, by a model's own code, or by anything else.
        log: of the process whose output is the task's log.
    """
    log.error("in full: %s", type(error).__name__, exc_info=error)
    return f"{kind_and_place(error)}; {IN_THE_LOG}"


def kind_and_place(error: BaseException) -> str:
    """Return an error's type, the line of ours that led to it, and the file that raised it.

    Details are added only where no row can have caused them: the system's text for an `errno`, the
    name of a missing module.
    """
    kind = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        kind += f" ({os.strerror(error.errno)})"
    elif isinstance(error, ImportError) and error.name:
        kind += f" (of {error.name})"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return kind
    own = [(frame, name) for frame in frames if (name := _own_file(frame.filename))]
    if own:
        frame, name = own[-1]
        kind += f" at {name} line {frame.lineno}, in {frame.name}"
        if frame is frames[-1]:
            return kind
    return f"{kind}{',' if own else ''} raised in {_short(frames[-1].filename)}"


def _own_file(filename: str) -> str | None:
    """Return the path of a file of this repository, relative to it; None for any other."""
    path = Path(filename)
    if not path.is_relative_to(ROOT):
        return None
    relative = path.relative_to(ROOT)
    return relative.as_posix() if relative.parts[0] in OWN_FOLDERS else None


def _short(filename: str) -> str:
    """Return a library's file from its package on, any other by its name alone."""
    _, separator, inside = Path(filename).as_posix().rpartition("/site-packages/")
    return inside if separator else Path(filename).name


@contextmanager
def model_errors(config: ModelConfig, doing: str, *, has_data: bool = True) -> Iterator[None]:
    """Turn any error of a model's own code into one line that names the place in its file.

    Args:
        config: the model's.
        doing: what it was asked to do.
        has_data: whether it was given rows, so that its text may hold cells of them.
    """
    try:
        yield
    except TrainingError:
        raise  # it names its command
    except (Exception, SystemExit) as error:
        if exhausted(error) is not None:
            raise  # the job's own error says what to do
        where = f"include/models/{config.name}.py"
        own = str(sys.modules[f"include.models.{config.name}"].__file__)
        frames = [
            place for place in traceback.extract_tb(error.__traceback__) if place.filename == own
        ]
        if frames:
            where = f"{where} line {frames[-1].lineno}, in {frames[-1].name}"
        text = f"; {IN_THE_LOG}" if has_data else f": {' '.join(str(error).split())[:500]}"
        raise TrainingError(f"{where}: {doing} failed: {type(error).__name__}{text}") from error
