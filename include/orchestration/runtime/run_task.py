"""What every task of a retraining run begins with, and how it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk import Context

from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import open_store

if TYPE_CHECKING:
    from include.retraining.runs.reference import RunRef
    from include.retraining.store.object_store import Store


@contextmanager
def run_task(context: Context) -> Iterator[tuple[Store, RunRef]]:
    """Yield the store and the run of a task, once its code is known to be its bundle's.

    Raises:
        AirflowFailException: for an error of the core that would come again: no retry.
        RetrainingError: for one that may pass.
    """
    with fail_permanent_errors():
        assert_own_bundle(context)
        yield open_store(), run_reference(context)
