"""How a task fails: with one clear line, and at once where a retry is pointless.

And the error of a failed task, as a callback finds it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from include.retraining.exceptions import RetrainingError
from include.retraining.formatting.text import truncate
from include.retraining.runs.foreign_errors import withheld

log = logging.getLogger(__name__)


@contextmanager
def fail_permanent_errors() -> Iterator[None]:
    """Log the core's errors as one line, and turn permanent ones into a failure without retry."""
    try:
        yield
    except RetrainingError as error:
        log.error("%s", error)  # noqa: TRY400 the sentence first, Airflow logs the traceback
        if error.is_permanent:
            raise AirflowFailException(str(error)) from error
        raise


def explained(exception: Any) -> tuple[str, str]:
    """Return the kind and the sentence of what a task raised."""
    cause = cause_of(exception)
    if isinstance(cause, RetrainingError):
        return cause.kind, str(cause)
    text = truncate(str(exception), 500)
    if isinstance(exception, AirflowFailException):
        return "error", text
    if isinstance(exception, AirflowException):  # Airflow's own words, which know of no row
        return "error", f"{type(exception).__name__}: {text}"
    return "error", withheld(exception, log)


def cause_of(exception: Any) -> Any:
    """Return the core's error behind a failure without a retry, else the exception itself."""
    return exception.__cause__ if isinstance(exception, AirflowFailException) else exception
