"""A notice where nothing is markup: in a mail, an incident, or another program."""

from __future__ import annotations

import re

from include.retraining.formatting.text import truncate
from include.retraining.notifications.notice import Notice

SUBJECT_LENGTH = 150
_EMOJI = re.compile(r"^:[a-z_]+: ")
# In the order of `notice.alert`: where something is answered, and where it is seen.
_PLACES = re.compile(r"^(?:answer|run): (\S+)$", re.MULTILINE)


def plain(notice: Notice) -> str:
    """Return all that a notice says, as plain text."""
    return _unescaped(_EMOJI.sub("", notice.text))


def subject_of(notice: Notice) -> str:
    """Return what a notice says first, on one line: a mail's subject, an incident's title."""
    return truncate(_unescaped(first_line(notice)), SUBJECT_LENGTH)


def first_line(notice: Notice) -> str:
    """Return the first line of a notice without its sign, still escaped for Slack."""
    return _EMOJI.sub("", notice.text.split("\n", 1)[0])


def place_of(notice: Notice) -> str | None:
    """Return the address at which a notice is answered or seen, still escaped for Slack."""
    match = _PLACES.search(notice.text)
    return None if match is None else match[1]


def _unescaped(text: str) -> str:
    """Undo `blocks.escaped`."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
