"""The messages about a run, as notifiers for the callbacks of its DAG and of its tasks.

Each delivers through the outbox: once for an event, however often Airflow calls, and later if Slack
does not take it now.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import BaseNotifier, Context

from include.orchestration.callbacks.run_ended import record_of_end
from include.orchestration.callbacks.send import (
    notify_decision,
    notify_missing_card,
    send_without_outbox,
)
from include.orchestration.runtime.errors import explained
from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import open_store
from include.retraining.exceptions import RetrainingError

log = logging.getLogger(__name__)


class PlainNotifier(BaseNotifier):
    """A notifier whose text is never taken for a template: errors and data may hold anything."""

    template_fields = ()

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """Render nothing, in a subclass that names fields neither."""


class DecisionNotifier(PlainNotifier):
    """Notifies people of what a run decided, or that it ended without a decision.

    It belongs behind `record_run_end`. A record that could not be written there is tried again
    here; if that fails too, the DAG's own callback sends why there is none.
    """

    def notify(self, context: Context) -> None:
        """Deliver the notice of the run's decision record, unless someone did already."""
        from include.retraining.decisions.records import find_decision

        try:
            store, run = open_store(), run_reference(context)
            record = find_decision(store, run) or record_of_end(store, run, context)
            notify_decision(store, record, context)
        except RetrainingError as error:
            log.error("nobody was notified: %s", error)  # noqa: TRY400 it is one clear line
            if "reason" in context:  # the DAG's callback: it comes last, and only once
                send_without_outbox(context, str(error))


class MissingCardNotifier(PlainNotifier):
    """Notifies people that a model card could not be made; the decision stands."""

    def notify(self, context: Context) -> None:
        """Deliver the notice, if the run has decided: else its own end is the news."""
        from include.retraining.decisions.record import Outcome
        from include.retraining.decisions.records import find_decision

        try:
            store, run = open_store(), run_reference(context)
            record = find_decision(store, run)
            if record is not None and record.outcome is not Outcome.FAILED:
                exception = context.get("exception")
                problem = "the task was killed" if exception is None else explained(exception)[1]
                notify_missing_card(store, record, context, problem)
        except RetrainingError as error:
            log.error("nobody was notified of the missing card: %s", error)  # noqa: TRY400 one clear line
