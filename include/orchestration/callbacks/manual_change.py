"""Notices about what someone changed manually, or that it could not be done."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Context

from include.orchestration.callbacks.send import deliver_notice, send_notice
from include.orchestration.runtime.errors import explained
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.urls import repository_url, run_url
from include.retraining.config.model import ModelConfig, load_model, model_names
from include.retraining.exceptions import RetrainingError
from include.retraining.store.layout import SILENCES

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Links, Notice
    from include.retraining.notifications.silences import Silence
    from include.retraining.registry.entry import PromotionEntry
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)


def notify_manual_change(
    store: Store,
    context: Context,
    notice_of: Callable[..., Notice],
    entry: PromotionEntry,
    **facts: Any,
) -> None:
    """Notify people of an entry that someone made. Never raises for want of Slack.

    Args:
        store: with the outbox.
        context: the task's.
        notice_of: makes the message of entry, configuration, links and ``facts``.
        entry: what was made.
        facts: what else the message says.
    """
    from include.retraining.store.layout import promotion_key

    record = f"{store.uri}/{promotion_key(entry.model, entry.generation)}"
    links = _links(context, record)
    deliver_notice(store, notice_of(entry, load_model(entry.model), links, **facts))


def notify_failed_rollback(context: Context) -> None:
    """Notify people that a rollback failed and changed nothing. A callback of tasks and DAGs."""
    from include.retraining.rollback.messages import rollback_failed

    _notify_of_failure(context, rollback_failed, _was_changed)


def notify_failed_release(context: Context) -> None:
    """Notify people that a hold was not released. A callback of tasks and DAGs."""
    from include.retraining.rollback.messages import release_failed

    _notify_of_failure(context, release_failed, _was_changed)


def notify_silence(store: Store, context: Context, entry: Silence) -> None:
    """Notify people that someone began or ended a silence. Never raises for want of a channel."""
    from include.retraining.notifications.silence_messages import silence_notice

    record = f"{store.uri}/{SILENCES}/{entry.id}.json"
    deliver_notice(store, silence_notice(entry, load_model(entry.model), _links(context, record)))


def notify_failed_silence(context: Context) -> None:
    """Notify people that no silence was changed. A callback of tasks and DAGs."""
    from include.retraining.notifications.silence_messages import silence_failed

    _notify_of_failure(context, silence_failed, _was_silenced)


def _notify_of_failure(
    context: Context,
    notice_of: Callable[..., Notice],
    notify_if_done: Callable[[Store, Context, ModelConfig], bool],
) -> None:
    """Notify of what went wrong, once, unless the store says that it was done after all."""
    config = _model_asked_for(context)
    run = f"{context['dag'].dag_id}.{context['run_id']}"
    fields: dict[str, Any] = {"run": run, "config": config, "links": _links(context)}
    why = _why(context)
    try:
        store = open_store()
    except RetrainingError as error:
        _send_directly(notice_of(**fields, serving=None, why=f"{why}; {error}"))
        return
    if config is None or not _was_done(store, context, config, notify_if_done):
        deliver_notice(store, notice_of(**fields, serving=_serving(store, config), why=why))


def _was_done(
    store: Store,
    context: Context,
    config: ModelConfig,
    notify_if_done: Callable[[Store, Context, ModelConfig], bool],
) -> bool:
    """Notify of what the run did, if it did it and failed afterwards; return whether it did."""
    if context.get("dag_run") is None:
        return False
    try:
        return notify_if_done(store, context, config)
    except RetrainingError as error:
        log.error("whether it was done is unknown: %s", error)  # noqa: TRY400 one clear line
        return False


def _was_changed(store: Store, context: Context, config: ModelConfig) -> bool:
    """Notify of the rollback or release that the run made; return whether it made one."""
    from include.retraining.registry.entry import PromotionKind
    from include.retraining.registry.promotion_log import PromotionLog
    from include.retraining.rollback.messages import released, rolled_back
    from include.retraining.rollback.plan import plan_rollback

    request, due = _request(context)
    promotions = PromotionLog(store, config.name)
    entry = promotions.entry_for_request(request, due)
    if entry is None:
        return False
    if entry.kind is PromotionKind.RELEASE:
        since = promotions.promotion_of(entry).created_at
        notify_manual_change(store, context, released, entry, serving_since=since)
    else:
        plan = plan_rollback(store, config.name, request=request, since=due)
        notify_manual_change(store, context, rolled_back, entry, plan=plan, tried="")
    return True


def _was_silenced(store: Store, context: Context, config: ModelConfig) -> bool:
    """Notify of the silence that the run began or ended; return whether it did."""
    from include.retraining.notifications.silences import entry_of

    entry = entry_of(store, *_request(context))
    if entry is None or entry.model != config.name:
        return False
    notify_silence(store, context, entry)
    return True


def _request(context: Context) -> tuple[str, datetime]:
    """Return what names a run's request, as `trigger_forms` does, and when it was due."""
    dag_run: Any = context["dag_run"]
    return f"{dag_run.dag_id}/{dag_run.run_id}", dag_run.run_after


def _serving(store: Store, config: ModelConfig | None) -> str | None:
    """Return the champion in words, as far as it is known."""
    from include.retraining.notifications.notice import serving_now
    from include.retraining.registry.promotion_log import PromotionLog

    if config is None:
        return None
    try:
        promotions = PromotionLog(store, config.name)
        return serving_now(promotions, promotions.champion())
    except RetrainingError as error:
        return f"unknown: {error}"


def _why(context: Context) -> str:
    exception = context.get("exception")
    if exception is not None:
        return explained(exception)[1]
    ti: Any = context.get("ti")
    task = "the run" if ti is None else f"`{ti.task_id}`"
    return f"{task} ended without saying why: it was killed, or someone marked it failed"


def _model_asked_for(context: Context) -> ModelConfig | None:
    """Return the model that was asked for, where it is one."""
    name = (getattr(context.get("dag_run"), "conf", None) or {}).get("model")
    try:
        return load_model(name) if isinstance(name, str) and name in model_names() else None
    except RetrainingError:
        return None


def _links(context: Context, record: str | None = None) -> Links:
    from include.retraining.notifications.notice import Links

    return Links(
        run=run_url(context["dag"].dag_id, context["run_id"]),
        log=getattr(context.get("ti"), "log_url", None),
        record=record,
        repository=repository_url(context),
    )


def _send_directly(notice: Notice) -> None:
    try:
        send_notice(notice)
    except Exception as error:  # noqa: BLE001 there is nothing left to try
        log.error("nobody was notified: %s: %s", type(error).__name__, error)  # noqa: TRY400
