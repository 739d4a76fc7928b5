"""Release the hold that a rollback put on automatic promotion."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperator, Context

from include.orchestration.forms.request_form import read_request, release_params
from include.orchestration.notifications.manual_change import tell_by_hand
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.supervisor import die_with_parent
from include.retraining.config.model import load_model


class ReleaseHoldOperator(BaseOperator):
    """Lets runs promote again; what serves stays. A retry or a clear finds what was done."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Return what serves on."""
        from include.retraining.registry.promotion import Registry
        from include.retraining.rollback.messages import released

        die_with_parent()
        with fail_permanent_errors():
            assert_own_bundle(context)
            request = read_request(context, release_params())
            config = load_model(request.model)
            registry = Registry(open_store(), request.model)
            entry = registry.log.entry_for_request(request.name, request.due) or registry.release(
                actor=request.actor, reason=request.reason, request=request.name
            )
        self.log.info("released by %s: %s", entry.actor, entry.reason)
        self.log.info(
            "to promote now, trigger %s with force_retrain; else the next delivery may",
            config.dag_id,
        )
        since = registry.log.promotion_of(entry).created_at
        tell_by_hand(registry.store, context, released, entry, serving_since=since)
        return {"version": entry.version, "generation": entry.generation}
