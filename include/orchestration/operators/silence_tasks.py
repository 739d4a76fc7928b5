"""What the task of `silence_alerts` does."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import get_current_context

from include.orchestration.callbacks.manual_change import notify_silence
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.store import open_store
from include.orchestration.trigger_forms.silence_form import read_silence

log = logging.getLogger(__name__)


def change_silence() -> dict[str, Any]:
    """Begin or end a silence, and notify people; a retry or a clear finds what was done.

    Returns:
        The entry's id, and until when it lasts; None for an end.
    """
    from include.retraining.notifications.silences import begin_silence, end_silence

    context = get_current_context()
    with fail_permanent_errors():
        assert_own_bundle(context)
        request = read_silence(context)
        store = open_store()
        facts: dict[str, Any] = {
            "reason": request.reason,
            "actor": request.actor,
            "request": request.name,
            "due": request.due,
        }
        if request.action == "end":
            entry = end_silence(store, request.model, request.kind, **facts)
        else:
            entry = begin_silence(store, request.model, request.kind, hours=request.hours, **facts)
    verb = "silenced" if entry.until else "sent again"
    log.info("%s about %s: %s, by %s", entry.kind.value, entry.model, verb, entry.actor)
    notify_silence(store, context, entry)
    return {"id": entry.id, "until": None if entry.until is None else entry.until.isoformat()}
