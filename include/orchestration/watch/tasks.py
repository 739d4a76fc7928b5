"""The tasks of `watch_models`: each has one duty, and none stops another."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_current_context

from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.store import open_store
from include.orchestration.watch.side_by_side import each
from include.retraining.config.model import model_names
from include.retraining.exceptions import RetrainingError

if TYPE_CHECKING:
    from include.retraining.store.object_store import Store

MOVING_SECONDS = 60.0
"""How long sent notices may be moved in one pass."""


def resend_notices() -> int:
    """Send the messages that wait in the outbox; return how many are settled by that.

    Those that were refused when they were new, those of decisions whose process was killed before
    it sent them, and in one message each those of a flood and those of a silence that is over.
    """
    from include.orchestration.callbacks.send import deliver_all, links_without_log
    from include.orchestration.runtime.urls import repository_url

    context = get_current_context()
    with fail_permanent_errors():
        store = _open()
        links_of = links_without_log(store, repository_url(context))
        try:
            return deliver_all(store, links_of)
        finally:
            _move_sent(store)


def _move_sent(store: Store) -> None:
    """Move what was sent out of the way; what is left when the time is up is moved next time."""
    from include.retraining.notifications.sent_notices import movable, move_sent

    until = time.monotonic() + MOVING_SECONDS
    notices = movable(store).items()
    for _ in each(notices, lambda item: move_sent(store, *item), until=until):
        pass


def close_dead_runs() -> list[str]:
    """Record runs that ended without a record, and notify; return their ids."""
    from include.orchestration.watch import follow_runs

    context = get_current_context()
    with fail_permanent_errors():
        return follow_runs.close_dead_runs(_open(), context, model_names())


def stop_lost_jobs() -> list[str]:
    """End jobs elsewhere whose run has ended; return their names."""
    from include.orchestration.watch import follow_jobs

    context = get_current_context()
    with fail_permanent_errors():
        return follow_jobs.stop_lost_jobs(_open(), context)


def check_models() -> list[str]:
    """Raise what is wrong with models although no run reports it; return it as text."""
    from include.orchestration.watch import models

    context = get_current_context()
    with fail_permanent_errors():
        return models.check_models(_open(), context, model_names())


def write_heartbeat() -> None:
    """Write the watch's heartbeat with its failed tasks; fail if there are any."""
    from include.retraining.watch.heartbeat import write_heartbeat as write

    context = get_current_context()
    ti: Any = context["ti"]
    with fail_permanent_errors():
        states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id])[ti.run_id]
        others = {name: state for name, state in states.items() if name != ti.task_id}
        failed = sorted(name for name, state in others.items() if state != "success")
        write(_open(), failed)
        if failed:
            raise RetrainingError(f"a part of the watch failed: {', '.join(failed)}: see its log")


def _open() -> Store:
    assert_own_bundle(get_current_context())
    return open_store()
