"""When many messages say the same, the first ones are sent and a digest lists the others."""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import datetime, timedelta

from include.retraining.notifications.notice_pieces import Pieces

ALIKE_WITHIN = timedelta(hours=1)
"""Messages alike count together when they were written within this time."""
Written = tuple[datetime, str]
"""When a notice was written, and its key."""
_TIME = re.compile(r"[0-9]{8}T[0-9]{6}")
_EVENT = re.compile(r"[a-z][a-z_]*")


def alike_of(key: str) -> str | None:
    """Return the event that a notice's key names: that of other models has the same.

    Args:
        key: `MODEL.RUN.CLEAR.EVENT`, `PLACE.CONDITION.SINCE`, `PLACE.CONDITION.SINCE.over` …

    Returns:
        The event; None when the key's end is another name, such as a job's.
    """
    parts = key.split(".")
    is_over = len(parts) > 2 and parts[-1] == "over"
    if is_over:
        parts.pop()
    if _TIME.fullmatch(parts[-1]):
        parts.pop()
    event = parts[-1] if parts else ""
    if not _EVENT.fullmatch(event):
        return None
    return f"{event}_over" if is_over else event


def written_alike(listed: Pieces) -> dict[str, list[Written]]:
    """Return when the notices in the outbox were written, by what they have in common, in order."""
    by_event: dict[str, list[Written]] = {}
    for key, by_name in listed.items():
        event = alike_of(key)
        if event is not None and "" in by_name:
            by_event.setdefault(event, []).append((by_name[""].last_modified, key))
    return {event: sorted(written) for event, written in by_event.items()}


def is_flooded(key: str, alike: dict[str, list[Written]], *, above: int) -> bool:
    """Return whether a notice is one too many of those that are alike.

    They are counted in the order in which they were written, sent ones too: the first ``above`` of
    an hour are sent one by one, whichever process asks, and however late.

    Args:
        key: of a notice that is in the outbox.
        alike: of what lies there (`written_alike`). A sent notice stays for an hour
            (`sent_notices.MOVE_AFTER`).
        above: how many are sent one by one.
    """
    written = alike.get(alike_of(key) or "", [])
    place = next((one for one in written if one[1] == key), None)
    if place is None:
        return False
    before = bisect_left(written, place)
    return before - bisect_left(written, (place[0] - ALIKE_WITHIN, "")) >= above
