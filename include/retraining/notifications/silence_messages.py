"""The messages about silences: one began or ended, or that could not be done."""

from __future__ import annotations

from include.retraining.config.model import ModelConfig
from include.retraining.formatting.times import utc_minute
from include.retraining.notifications.notice import Links, Notice, NoticeKind, alert
from include.retraining.notifications.silences import Silence

RUNBOOK = "silenced"


def silence_notice(entry: Silence, config: ModelConfig, links: Links) -> Notice:
    """Return the message that a silence began or was ended."""
    if entry.until is not None:
        event, headline = (
            "silence_begun",
            f"`{entry.kind.value}` messages are silenced until {utc_minute(entry.until)}",
        )
        step = "Nothing to do: what is silenced is listed when it is over. To end it now, trigger "
        step += f"`silence_alerts` for `{entry.model}` with the action `end`."
    else:
        event, headline = "silence_ended", f"`{entry.kind.value}` messages are sent again"
        step = "Nothing to do: what was silenced is listed within minutes."
    return alert(
        event=event,
        kind=NoticeKind.GOOD_NEWS,
        key=f"{entry.model}.{entry.id}.{event}",
        title=config.title,
        model=entry.model,
        headline=f"{headline}, by {entry.actor}",
        why=entry.reason,
        step=step,
        owner=config.owner,
        serving=None,
        links=links,
        runbook=RUNBOOK,
    )


def silence_failed(
    *, run: str, config: ModelConfig | None, serving: str | None, why: str, links: Links
) -> Notice:
    """Return the message that nothing was silenced, and no silence ended.

    Args:
        run: names it, `DAG_ID.RUN_ID`.
        config: the model's that was asked for; None where there is no such model.
        serving: the champion, as text, where it is known.
        why: it failed.
        links: where to look.
    """
    return alert(
        event="silence_failed",
        kind=NoticeKind.BROKEN,
        key=f"{run}.silence_failed",
        title=config.title if config else "Silence",
        model=config.name if config else "",
        headline="the silences are as they were",
        why=why,
        step="Fix what the reason names, then trigger `silence_alerts` again.",
        owner=config.owner if config else None,
        serving=serving,
        links=links,
        runbook=RUNBOOK,
    )
