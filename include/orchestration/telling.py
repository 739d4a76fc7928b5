"""Tell people what a run decided; that nobody can be told never fails a run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowNotFoundException

from include.orchestration.links import run_url
from include.orchestration.run_reference import model_of
from include.orchestration.slack import send_to_slack
from include.retraining.config import Alerts, load_model
from include.retraining.exceptions import RetrainingError

if TYPE_CHECKING:
    from include.retraining.notices import Links, Notice
    from include.retraining.records import DecisionRecord
    from include.retraining.storage import Store

log = logging.getLogger(__name__)


def tell(store: Store, record: DecisionRecord, context: Context) -> None:
    """Deliver the notice of a decision record, unless someone else did.

    A notice that cannot be sent stays in the store's outbox, and the log says so. Once one went
    through, those that wait there are sent too.
    """
    from include.retraining.decision_notice import notice_for

    notice = notice_for(record, _links(store, record, context))
    if notice is not None:
        _deliver(store, notice)


def tell_of_missing_card(store: Store, record: DecisionRecord, context: Context) -> None:
    """Say that a decision stands and that its model card could not be made."""
    from include.retraining.decision_notice import card_notice

    problem = " ".join(str(context.get("exception") or "the task was killed").split())
    _deliver(store, card_notice(record, _links(store, record, context), problem))


def _deliver(store: Store, notice: Notice) -> None:
    from include.retraining.outbox import deliver

    connection = _connection(notice.model)

    def send(notice: Notice) -> None:
        send_to_slack(notice.text, _connection(notice.model))

    try:
        if deliver(store, notice, send):
            log.info("told %s: %s", connection, notice.event)
    except AirflowNotFoundException:
        log.warning(
            "nobody was told (%s): there is no Airflow connection %r; the notice waits in the "
            "store's outbox",
            notice.event,
            connection,
        )
    except Exception as error:  # noqa: BLE001 whatever ails Slack, the run goes on
        log.warning(
            "nobody was told (%s): %s: %s; the notice waits in the store's outbox",
            notice.event,
            type(error).__name__,
            error,
        )
    else:
        _send_what_waits(store, send)


def _send_what_waits(store: Store, send: Callable[[Notice], None]) -> None:
    """Send what could not be sent before, now that a message went through."""
    from include.retraining.outbox import deliver_waiting

    try:
        late = deliver_waiting(store, send)
    except Exception as error:  # noqa: BLE001 one that still cannot be sent goes on waiting
        log.warning("a notice still waits in the outbox: %s: %s", type(error).__name__, error)
    else:
        if late:
            log.info("sent what had waited in the outbox: %d notices", late)


def tell_directly(context: Context, problem: str) -> None:
    """Say that a run ended while its store refuses, so that there is no record to speak from."""
    from include.retraining.notices import escaped

    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    text = f"{dag_id}: a run ended and its decision could not be recorded: {problem}"
    try:
        send_to_slack(
            f"{escaped(text)}\n<{run_url(dag_id, run_id)}|the run>",
            _connection(model_of(dag_id)),
        )
    except Exception as error:  # noqa: BLE001 there is nothing left to try
        log.error("nobody was told: %s: %s", type(error).__name__, error)  # noqa: TRY400


def _connection(model: str) -> str:
    try:
        return load_model(model).alerts.connection
    except RetrainingError:  # its YAML is what is broken
        return Alerts().connection


def _links(store: Store, record: DecisionRecord, context: Context) -> Links:
    from include.retraining.layout import RunPaths
    from include.retraining.notices import Links

    ti: Any = context.get("ti")
    return Links(
        run=run_url(record.dag_id, record.run_id),
        log=getattr(ti, "log_url", None),
        record=f"{store.uri}/{RunPaths(record.model, record.run).decision(record.clear)}",
    )
