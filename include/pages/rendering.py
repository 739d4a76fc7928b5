"""Templates, and how times, numbers and amounts look on a page. Everything is escaped."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from include.pages import urls
from include.retraining.decisions.phrases import decision_sentence
from include.retraining.decisions.record import DecisionRecord
from include.retraining.formatting.numbers import (
    better_words,
    metric_name,
    metric_value,
    number,
    signed,
)
from include.retraining.formatting.text import in_words
from include.retraining.formatting.times import utc_minute
from include.retraining.gate.how_to_read import HOW_TO_READ
from include.retraining.gate.shown_numbers import shown_numbers
from include.retraining.notifications.plain_text import subject_of
from include.retraining.registry.entry import PromotionEntry
from include.retraining.store.redaction import redact

HERE = Path(__file__).parent
STATIC = HERE / "static"
NOTHING = "-"
_UNITS = ((86400 * 2, 86400, "d"), (3600 * 2, 3600, "h"), (60 * 2, 60, "min"))


@cache
def environment() -> Environment:
    """Return the templates' environment, made once."""
    templates = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "when": when,
        "ago": ago,
        "plain": plain,
        "words": words,
        "size": size,
        "seconds": seconds,
        "masked": redact,
        "sentence": sentence,
        "subject": subject_of,
        "undone_words": undone_words,
        "shown_numbers": shown_numbers,
        "metric_name": metric_name,
        "better_words": better_words,
        "signed": signed,
    }
    templates.globals |= {
        "how_to_read": HOW_TO_READ,
        "links": urls,
        "metric_value": metric_value,
        "nothing": NOTHING,
        "static_mark": static_mark(),
    }
    return templates


def render(template: str, **values: Any) -> str:
    """Return a page."""
    return environment().get_template(template).render(**values)


@cache
def static_mark() -> str:
    """Return a word that changes with the style sheet and the scripts, for the browser's cache."""
    digest = hashlib.sha256()
    for file in sorted(STATIC.iterdir()):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def when(moment: datetime | None) -> Markup:
    """Return a time to the minute in UTC, whole when one points at it."""
    if moment is None:
        return escape(NOTHING)
    moment = moment.astimezone(UTC)
    year = "" if moment.year == datetime.now(UTC).year else f" {moment.year}"
    return Markup('<time datetime="{iso}" title="{full}">{shown}</time>').format(
        iso=moment.isoformat(timespec="seconds"),
        full=f"{moment:%Y-%m-%d %H:%M:%S} UTC",
        shown=f"{moment.day} {moment:%b}{year} {moment:%H:%M}",
    )


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago a time was, or in how long it will be."""
    away = now - moment
    return f"in {_span(-away)}" if away < timedelta(0) else f"{_span(away)} ago"


def _span(away: timedelta) -> str:
    total = away.total_seconds()
    for least, unit, word in _UNITS:
        if total >= least:
            return f"{total // unit:.0f} {word}"
    return f"{total:.0f} s"


def plain(value: float | None, digits: int = 4) -> str:
    """Return a number, or a sign for none."""
    return NOTHING if value is None else number(value, digits)


def words(name: object) -> str:
    """Return a code word in words: `cannot_judge` is `cannot judge`."""
    return in_words(str(getattr(name, "value", name)))


def sentence(record: DecisionRecord, title: str) -> str:
    """Return what a run decided, in words that call the model by its title."""
    return decision_sentence(record, title=title)


def undone_words(rollback: PromotionEntry) -> str:
    """Return that a promotion was taken back, by whom and why."""
    at = utc_minute(rollback.created_at)
    return f"rolled back by {rollback.actor} at {at}: {rollback.reason.rstrip('. ')}"


def size(value: float | None) -> str:
    """Return an amount of memory or of data."""
    if value is None:
        return NOTHING
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= unit:
            return f"{number(value / unit, 3)} {name}"
    return f"{value:.0f} bytes"


def seconds(value: float | None) -> str:
    """Return a duration."""
    if value is None:
        return NOTHING
    if value >= 3600:
        return f"{value // 3600:.0f} h {value % 3600 // 60:.0f} min"
    if value >= 60:
        return f"{value // 60:.0f} min {value % 60:.0f} s"
    return f"{number(value, 3)} s"
