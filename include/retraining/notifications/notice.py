"""A notice: one message about one event, as Slack shows it and as plain text.

Every message has the same parts, so that a reader at night knows where to look: the kind and
the model, what happened and its first cause, the champion, who owns the model, the one next
step, and the places to go to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from include.retraining.config.notice_kind import NoticeKind
from include.retraining.documents import Document
from include.retraining.formatting.text import truncate, visible
from include.retraining.formatting.times import utc_minute
from include.retraining.notifications.blocks import HEADER_LENGTH, Layout, escaped
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion_log import PromotionLog, serving_of
from include.retraining.runs.manifest import Serving
from include.retraining.store.layout import RunPaths
from include.retraining.store.redaction import redact

__all__ = [
    "Links",
    "Notice",
    "NoticeKind",
    "alert",
    "escaped",
    "run_topic",
    "serving_now",
    "serving_words",
]

REASON_LENGTH = 600
RUNBOOKS = "docs/runbooks"
MAX_ESCAPED_LENGTH = 1400


@dataclass(frozen=True)
class _Style:
    """How a kind looks."""

    emoji: str
    word: str
    colour: str


_STYLES = {
    NoticeKind.BROKEN: _Style(":rotating_light:", "Broken", "#D40E0D"),
    NoticeKind.REJECTED: _Style(":no_entry_sign:", "Not promoted", "#8D99AE"),
    NoticeKind.WAITING: _Style(":raised_hand:", "Waiting for you", "#ECB22E"),
    NoticeKind.GOOD_NEWS: _Style(":white_check_mark:", "Good news", "#2EB67D"),
}


@dataclass(frozen=True)
class Links:
    """The links of a message."""

    run: str | None = None
    """The run's page in the Airflow UI."""
    log: str | None = None
    """The log of the task that ended it."""
    record: str | None = None
    """The address of the decision record."""
    page: str | None = None
    """The page on which the request is answered."""
    repository: str | None = None
    """The address of this repository's files, to which `/docs/runbooks/…` is added; without it a
    message shows the path."""


class Notice(Document):
    """One message about one event."""

    format: int = 1
    key: str
    """Names the event: the same event has the same key, whichever process sends it. Its end says
    what happened (`flood.alike_of`)."""
    event: str
    """`promoted`, `rejected`, `cannot_judge`, `data_rejected`, `no_data`, `broken`, …"""
    kind: NoticeKind = NoticeKind.BROKEN
    model: str
    text: str
    """All of it for a notification or where blocks are not shown. Escaped for Slack."""
    blocks: tuple[dict[str, Any], ...] = ()
    """Slack's Block Kit, the header first."""
    record: str | None = None
    """The decision record that an announcement is about (`announcing`); None of a notice that has
    its text."""
    topic: str | None = None
    """What it is about where others may follow: a run, or an alarm for as long as it lasts. The
    messages on a topic are one thread in Slack and one incident in PagerDuty."""
    is_outcome: bool = False
    """Whether it says how its topic ended: what a run decided, or that an alarm is over."""
    lists: tuple[str, ...] = ()
    """The keys of the notices that it lists instead of their own messages (`listing`)."""
    closes: str | None = None
    """The key of the outcome whose closing it is (`closing`); None of a message."""
    created_at: datetime

    @property
    def is_announcement(self) -> bool:
        """Whether it says nothing yet."""
        return self.record is not None

    @property
    def colour(self) -> str:
        """The colour of the bar beside the message."""
        return _STYLES[self.kind].colour


def alert(
    *,
    event: str,
    kind: NoticeKind,
    key: str,
    title: str,
    model: str,
    headline: str,
    why: str,
    step: str,
    owner: str | None,
    serving: str | None,
    links: Links,
    runbook: str,
    topic: str | None = None,
    is_outcome: bool = False,
) -> Notice:
    """Return the message about an event.

    Every text is plain: it is redacted, cut and escaped here. Words between backticks are shown as
    code.

    Args:
        event: a word for the event; `docs/runbooks/` has a page for each that asks for something.
        kind: how it wants to be read.
        key: unique to the event, the same for every sender, for example `MODEL.RUN.late`.
        title: the model's title, or what else this is about.
        model: its name; empty when the message is about no model.
        headline: what happened, in a few words.
        why: the first cause, in a sentence.
        step: the one next step, with the exact command or place in the UI.
        owner: the team that answers for the model, where it is known.
        serving: the champion and since when (`serving_words`); None where it does not matter.
        links: where to look.
        runbook: the page's name, `late` for `docs/runbooks/late.md`; empty for none.
        topic: what it is about where other messages may follow.
        is_outcome: whether it says how the topic ended.
    """
    now = datetime.now(UTC)
    key = _safe(key)
    facts = {"Why": why, "Next": step, "Serving now": serving, "Owner": owner}
    style = _STYLES[kind]
    layout = Layout(
        header=truncate(f"{style.emoji} {style.word}: {redact(title)}", HEADER_LENGTH),
        headline=_shown(headline),
        facts={name: _shown(text) for name, text in facts.items() if text},
        places=_places(links, runbook),
        mark=f"event {key}, {utc_minute(now)}",
    )
    return Notice(
        key=key,
        event=event,
        kind=kind,
        model=model,
        text=layout.text,
        blocks=tuple(layout.blocks()),
        topic=None if topic is None else _safe(topic),
        is_outcome=is_outcome,
        created_at=now,
    )


def run_topic(model: str, run: str) -> str:
    """Return the topic of the messages about a run.

    Args:
        model: whose.
        run: the run's folder, of any of its plans.
    """
    return f"{model}.{RunPaths(model, run).first_plan}"


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)


def _shown(text: str) -> str:
    """Return a text redacted, cut and escaped: two of them fit one section of Slack's."""
    text = redact(text)
    shown = escaped(truncate(text, REASON_LENGTH))
    if len(shown) <= MAX_ESCAPED_LENGTH:
        return shown
    return escaped(truncate(text, MAX_ESCAPED_LENGTH // len("&amp;")))


def _places(links: Links, runbook: str) -> dict[str, str]:
    """Return what a message links to, escaped."""
    page = f"{RUNBOOKS}/{runbook}.md" if runbook else None
    if page and links.repository:
        page = f"{links.repository.rstrip('/')}/{page}"
    places = {
        "answer": links.page,
        "run": links.run,
        "log": links.log,
        "record": links.record,
        "runbook": page,
    }
    return {
        name: escaped(visible(place)).replace("|", "%7C") for name, place in places.items() if place
    }


def serving_now(log: PromotionLog, champion: PromotionEntry | None) -> str:
    """Describe the champion by a model's newest entry, and since when it serves."""
    if champion is None:
        return serving_words(None, None)
    return serving_words(serving_of(champion), log.promotion_of(champion).created_at)


def serving_words(serving: Serving | None, since: datetime | None) -> str:
    """Describe the champion, and since when it serves."""
    if serving is None:
        return "nothing yet"
    when = f", since {utc_minute(since)}" if since else ""
    return f"version {serving.version} (generation {serving.generation}){when}"
