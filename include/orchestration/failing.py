"""How a task fails: with one line for a person, and at once where a retry is pointless."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from include.retraining.exceptions import RetrainingError

log = logging.getLogger(__name__)


@contextmanager
def failing_clearly() -> Iterator[None]:
    """Log the core's errors as one line, and turn permanent ones into a failure without retry."""
    try:
        yield
    except RetrainingError as error:
        log.error("%s", error)  # noqa: TRY400 the sentence first, Airflow logs the traceback
        if error.is_permanent:
            raise AirflowFailException(str(error)) from error
        raise
