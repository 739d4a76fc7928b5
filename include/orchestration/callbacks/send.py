"""Delivering notices: through the outbox, once, and never failing a run for want of a channel."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from include.orchestration.callbacks.channels import can_close, close, send_through
from include.orchestration.runtime.run_reference import model_of
from include.orchestration.runtime.urls import repository_url, run_url
from include.retraining.config.alerts import Alerts
from include.retraining.config.model import load_model
from include.retraining.exceptions import NotSent, RetrainingError
from include.retraining.formatting.text import default_title

if TYPE_CHECKING:
    from include.retraining.decisions.record import DecisionRecord
    from include.retraining.notifications.announcing import LinksOf
    from include.retraining.notifications.holding import Holding
    from include.retraining.notifications.notice import Links, Notice
    from include.retraining.notifications.outbox import Hold
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
    """Deliver any notice, once, through its model's connections, or hold it. Never raises."""
    from include.retraining.notifications.holding import Holding
    from include.retraining.notifications.outbox import deliver

    hold = _closed_and_held(store, Holding(store, _digest_above))
    try:
        if deliver(store, notice, sender(store), hold=hold):
            log.info("notified: %s", notice.key)
    except Exception as error:  # noqa: BLE001 a Slack failure must not fail the run
        _log_undelivered(notice, error)
    else:
        _send_waiting(store)


def sender(store: Store | None) -> Callable[[Notice], None]:
    """Return what sends a notice through the connections that its model names for its kind.

    Args:
        store: keeps which message of a topic was the first; None without one.

    Returns:
        A function that raises `NotSent` when none of the connections took the notice.
    """

    def send(notice: Notice) -> None:
        alerts = _alerts(notice.model)
        if store is not None and notice.closes is not None:
            _close(store, notice, alerts)
        elif store is None or notice.topic is None or not can_close(alerts.all_connections):
            send_through(notice, alerts.connections(notice.kind), store)
        else:
            _send_on_topic(store, notice, alerts)

    return send


def _send_on_topic(store: Store, notice: Notice, alerts: Alerts) -> None:
    """Send a message; one whose topic has ended since opens no incident and has no last word."""
    from include.retraining.notifications.closing import close_again, newer_outcome
    from include.retraining.notifications.notice import NoticeKind

    newer = newer_outcome(store, notice)
    ended = None if newer is None or newer.kind is NoticeKind.BROKEN else newer
    send_through(notice, alerts.connections(notice.kind), store, ended=ended)
    newer = newer_outcome(store, notice)  # it may have come while this was sent
    if newer is not None:
        close_again(store, newer, after=notice)


def _close(store: Store, closing: Notice, alerts: Alerts) -> None:
    """Do what an outcome changes in all channels, unless there is a newer one."""
    from include.retraining.notifications.closing import newer_outcome

    if newer_outcome(store, closing) is None:
        outcome = closing.model_copy(update={"key": closing.closes, "closes": None})
        close(outcome, alerts.all_connections, store)


def _closed_and_held(store: Store, holding: Holding) -> Hold:
    """Return what is asked before a notice is sent: an outcome closes its topic, held or not."""
    from include.retraining.notifications.closing import begin_closing

    def hold(notice: Notice) -> str | None:
        if notice.is_outcome and can_close(_alerts(notice.model).all_connections):
            begin_closing(store, notice)
        return holding.piece_for(notice)

    return hold


def send_notice(notice: Notice) -> None:
    """Send a notice where there is no store.

    Raises:
        NotSent: when no connection took it.
    """
    sender(None)(notice)


def deliver_all(store: Store, links_of: LinksOf) -> int:
    """Send what waits in the outbox, and list what was held; return how many were settled.

    Raises:
        NotSent: when some could not be sent, saying how many and the first problem.
        StorageError: when the outbox cannot be listed.
    """
    from include.retraining.notifications.holding import Holding
    from include.retraining.notifications.listing import send_lists
    from include.retraining.notifications.notice_pieces import pieces
    from include.retraining.notifications.outbox import deliver_waiting

    listed = pieces(store)
    hold = _closed_and_held(store, Holding(store, _digest_above, listed=listed))
    send = sender(store)
    try:
        sent = deliver_waiting(store, send, links_of=links_of, listed=listed, hold=hold)
    except NotSent as problem:  # it holds no list back
        send_lists(store, listed, send, _channel_of, links_of=links_of)
        raise problem from None
    return sent + send_lists(store, listed, send, _channel_of, links_of=links_of)


def _channel_of(notice: Notice) -> str:
    """Return the name of the channel that a notice is sent to, as far as its YAML says."""
    return _alerts(notice.model).connections(notice.kind)[0]


def _digest_above(model: str) -> int:
    return _alerts(model).digest_above


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
    try:
        late = deliver_all(store, links_without_log(store))
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
