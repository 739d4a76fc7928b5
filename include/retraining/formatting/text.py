"""Text without invisible characters, which could hide a word, reverse a line or break a database.

Data, file names and user input may hold any character. PostgreSQL takes no NUL in JSON, a
terminal obeys control characters, and a right-to-left mark shows a text otherwise than it is.
"""

from __future__ import annotations

import re

# Controls but tab and line feed, line and paragraph separators, halves of pairs.
_SHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Soft hyphen, joiners, zero-width and direction marks, fillers, variation selectors, tags.
_DROPPED = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    r"""Return ``text`` with control characters escaped, as in `\x00`.

    Other invisible characters are dropped. Tabs and line ends stay.
    """
    text = _DROPPED.sub("", text.replace("\r\n", "\n"))
    return _SHOWN.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def truncate(text: str, length: int) -> str:
    """Return ``text`` on one line that can be seen, cut to ``length`` characters."""
    line = " ".join(visible(text).split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def in_words(name: str) -> str:
    """Return an identifier as words: `cannot_judge` is `cannot judge`."""
    return name.replace("_", " ")


def default_title(model: str) -> str:
    """Return what to call a model whose own title is not known: `Loan approval`."""
    return in_words(model).capitalize()
