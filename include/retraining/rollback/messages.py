"""The messages about manual changes: a rollback and a release, done or failed."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from include.retraining.config.model import ModelConfig
from include.retraining.notifications.notice import Links, Notice, NoticeKind, alert, serving_words
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import serving_of
from include.retraining.rollback.plan import RollbackPlan


def rolled_back(
    entry: PromotionEntry, config: ModelConfig, links: Links, *, plan: RollbackPlan, tried: str
) -> Notice:
    """Return the message that an earlier version serves again.

    Args:
        entry: the rollback.
        config: the model's.
        links: where to look.
        plan: what the rollback changed.
        tried: what was tried before, in a sentence; empty where that is not known.
    """
    before = serving_words(plan.serving, plan.serving_since)
    facts = [entry.reason.rstrip("."), f"before: {before}", *([tried] if tried else [])]
    return alert(
        event="rolled_back",
        kind=NoticeKind.GOOD_NEWS,
        key=f"{entry.model}.{entry.generation:08d}.rolled_back",
        title=config.title,
        model=entry.model,
        headline=f"rolled back by {entry.actor}; no run promotes until the hold is released",
        why="; ".join(facts),
        step=(
            f"When the cause is gone, trigger `release_model` for `{entry.model}` in the Airflow "
            f'UI, or type `python -m include.retraining release {entry.model} --reason "…"`.'
        ),
        owner=config.owner,
        serving=serving_words(serving_of(entry), entry.created_at),
        links=links,
        runbook="rolled_back",
    )


def released(
    entry: PromotionEntry, config: ModelConfig, links: Links, *, serving_since: datetime
) -> Notice:
    """Return the message that runs may promote again."""
    return alert(
        event="released",
        kind=NoticeKind.GOOD_NEWS,
        key=f"{entry.model}.{entry.generation:08d}.released",
        title=config.title,
        model=entry.model,
        headline=f"the hold was released by {entry.actor}; runs promote again",
        why=entry.reason,
        step=f"To promote now, trigger `{config.dag_id}` with `force_retrain`; else the next "
        "delivery decides. The version that was rolled back serves again only by `rollback_model`.",
        owner=config.owner,
        serving=serving_words(serving_of(entry), serving_since),
        links=links,
        runbook="",
    )


def rollback_failed(
    *, run: str, config: ModelConfig | None, serving: str | None, why: str, links: Links
) -> Notice:
    """Return the message that nothing was rolled back.

    Args:
        run: names it, `DAG_ID.RUN_ID`.
        config: the model's that was asked for; None where there is no such model.
        serving: the champion, as text, where it is known.
        why: it failed.
        links: where to look.
    """
    return _failed(_ROLLBACK, config, run=run, serving=serving, why=why, links=links)


def release_failed(
    *, run: str, config: ModelConfig | None, serving: str | None, why: str, links: Links
) -> Notice:
    """Return the message that a hold was not released. The arguments are as above."""
    return _failed(_RELEASE, config, run=run, serving=serving, why=why, links=links)


class _Change(NamedTuple):
    """A manual change, as the message that it failed calls it."""

    event: str
    title: str
    headline: str
    dag_id: str
    runbook: str


_ROLLBACK = _Change(
    event="rollback_failed",
    title="Rollback",
    headline="the rollback failed, the champion is unchanged",
    dag_id="rollback_model",
    runbook="rollback_failed",
)
_RELEASE = _Change(
    event="release_failed",
    title="Release",
    headline="the hold was not released",
    dag_id="release_model",
    runbook="held",
)


def _failed(
    change: _Change,
    config: ModelConfig | None,
    *,
    run: str,
    serving: str | None,
    why: str,
    links: Links,
) -> Notice:
    return alert(
        event=change.event,
        kind=NoticeKind.BROKEN,
        key=f"{run}.{change.event}",
        title=config.title if config else change.title,
        model=config.name if config else "",
        headline=change.headline,
        why=why,
        step=f"Fix what the reason names, then trigger `{change.dag_id}` again.",
        owner=config.owner if config else None,
        serving=serving,
        links=links,
        runbook=change.runbook,
    )
