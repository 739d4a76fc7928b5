"""A notice as an event of PagerDuty's Events API v2: it opens an incident, or resolves one.

The incident of a topic has one key, so another message about a run that is open pages nobody twice,
and its outcome resolves it. What is no topic of its own has its notice's key.
https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal, NamedTuple

from include.retraining.config.notice_kind import NoticeKind
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.plain_text import place_of, plain, subject_of

DEDUP_LENGTH = 255
_SEVERITIES: dict[NoticeKind, Literal["critical", "warning", "info"]] = {
    NoticeKind.BROKEN: "critical",
    NoticeKind.WAITING: "warning",
    NoticeKind.REJECTED: "info",
    NoticeKind.GOOD_NEWS: "info",
}


class Incident(NamedTuple):
    """What PagerDuty is asked."""

    action: Literal["trigger", "resolve"]
    dedup_key: str
    """The same for all messages on a topic: at most 255 characters."""
    summary: str
    severity: Literal["critical", "warning", "info"]
    details: dict[str, Any]
    links: list[dict[str, str]]


def incident_of(notice: Notice) -> Incident:
    """Return what PagerDuty is asked for a notice: an outcome that is not broken resolves."""
    is_outcome = notice.topic is not None and notice.is_outcome
    is_over = is_outcome and notice.kind is not NoticeKind.BROKEN
    place = place_of(notice) or ""
    is_link = place.startswith(("https://", "http://"))
    return Incident(
        action="resolve" if is_over else "trigger",
        dedup_key=_dedup_key(notice.topic or notice.key),
        summary=subject_of(notice),
        severity=_SEVERITIES[notice.kind],
        details={"event": notice.key, "message": plain(notice)},
        links=[{"href": place.replace("&amp;", "&"), "text": "Airflow"}] if is_link else [],
    )


def _dedup_key(name: str) -> str:
    if len(name) <= DEDUP_LENGTH:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()
    return f"{name[: DEDUP_LENGTH - 65]}.{digest}"
