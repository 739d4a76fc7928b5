"""Delivering notices: through the outbox, once, and never failing a run for want of Slack."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from include.orchestration.callbacks.slack import send_to_slack
from include.orchestration.runtime.run_reference import model_of
from include.orchestration.runtime.urls import repository_url, run_url
from include.retraining.config.model import Alerts, load_model
from include.retraining.exceptions import NotSent, RetrainingError
from include.retraining.formatting.text import default_title

if TYPE_CHECKING:
    from include.retraining.decisions.record import DecisionRecord
    from include.retraining.notifications.announcing import LinksOf
    from include.retraining.notifications.notice import Links, Notice
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)


def notify_decision(store: Store, record: DecisionRecord, context: Context) -> None:
    """Deliver the notice of a decision record, unless someone else did.

    A notice that cannot be sent stays in the store's outbox, and the log says so. Once one went
    through, those that wait there are sent too.
    """
    from include.retraining.notifications.announcing import with_title_and_owner
    from include.retraining.notifications.decision_notice import notice_for

    notice = notice_for(with_title_and_owner(record), links_of(store, record, context))
    if notice is not None:
        deliver_notice(store, notice)


def notify_missing_card(
    store: Store, record: DecisionRecord, context: Context, problem: str
) -> None:
    """Notify people that a decision stands and that its model card could not be made."""
    from include.retraining.notifications.decision_notice import card_notice

    deliver_notice(store, card_notice(record, links_of(store, record, context), problem))


def deliver_notice(store: Store, notice: Notice) -> None:
    """Deliver any notice, once, through its model's connections. Never raises."""
    from include.retraining.notifications.outbox import deliver

    try:
        if deliver(store, notice, send_notice):
            log.info("notified: %s", notice.key)
    except Exception as error:  # noqa: BLE001 a Slack failure must not fail the run
        _log_undelivered(notice, error)
    else:
        _send_waiting(store)


def send_notice(notice: Notice) -> None:
    """Send a notice through the connections that its model names for its kind.

    Raises:
        NotSent: when none of them took it.
    """
    send_to_slack(notice, _alerts(notice.model).connections(notice.kind))


def _log_undelivered(notice: Notice, error: Exception) -> None:
    # A revoked webhook stays closed until someone renews it: that is an error.
    is_closed = isinstance(error, NotSent) and error.is_revoked
    log.log(
        logging.ERROR if is_closed else logging.WARNING,
        "nobody was notified (%s): %s: %s; the notice waits in the store's outbox%s",
        notice.event,
        type(error).__name__,
        error,
        ": see docs/runbooks/outbox.md" if is_closed else "",
    )


def _send_waiting(store: Store) -> None:
    """Send what could not be sent before, now that a message went through."""
    from include.retraining.notifications.outbox import deliver_waiting

    try:
        late = deliver_waiting(store, send_notice, links_of=links_without_log(store))
    except Exception as error:  # noqa: BLE001 one that still cannot be sent keeps waiting
        log.warning("a notice still waits in the outbox: %s: %s", type(error).__name__, error)
    else:
        if late:
            log.info("sent what had waited in the outbox: %d notices", late)


def send_without_outbox(context: Context, problem: str) -> None:
    """Notify people that a run ended while its store refuses: there is no record and no outbox."""
    from include.retraining.notifications.notice import Links, NoticeKind, alert

    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    model = model_of(dag_id)
    notice = alert(
        event="store",
        kind=NoticeKind.BROKEN,
        key=f"{dag_id}.{run_id}.store",
        title=title_of(model),
        model=model,
        headline="a run ended and its decision could not be recorded",
        why=problem,
        step="Bring the store back, then clear the run's failed task: it decides again.",
        owner=_owner(model),
        serving=None,
        links=Links(run=run_url(dag_id, run_id), repository=repository_url(context)),
        runbook="store",
    )
    try:
        send_notice(notice)
    except Exception as error:  # noqa: BLE001 there is nothing left to try
        log.error("nobody was notified: %s: %s", type(error).__name__, error)  # noqa: TRY400


def _alerts(model: str) -> Alerts:
    try:
        return load_model(model).alerts
    except RetrainingError:  # no model's, or its YAML is what is broken
        return Alerts()


def title_of(model: str) -> str:
    """Return what a model is called in a message that has no record to take it from."""
    try:
        return load_model(model).title
    except RetrainingError:  # its YAML is gone or broken
        return default_title(model)


def _owner(model: str) -> str | None:
    try:
        return load_model(model).owner
    except RetrainingError:
        return None


def links_without_log(store: Store, repository: str | None = None) -> LinksOf:
    """Return where a message goes about a decision that another process recorded."""
    from include.retraining.notifications.notice import Links
    from include.retraining.store.layout import RunPaths

    return lambda record: Links(
        run=run_url(record.dag_id, record.run_id),
        record=f"{store.uri}/{RunPaths(record.model, record.run).decision(record.clear)}",
        repository=repository,
    )


def links_of(store: Store, record: DecisionRecord, context: Context) -> Links:
    """Return where a message about a decision takes its reader."""
    from include.retraining.notifications.notice import Links
    from include.retraining.store.layout import RunPaths

    ti: Any = context.get("ti")
    return Links(
        run=run_url(record.dag_id, record.run_id),
        log=getattr(ti, "log_url", None),
        record=f"{store.uri}/{RunPaths(record.model, record.run).decision(record.clear)}",
        repository=repository_url(context),
    )
