"""The kinds of message: what each wants of its reader."""

from __future__ import annotations

from enum import StrEnum


class NoticeKind(StrEnum):
    """How a message wants to be read. Each kind looks different and may have its own channel."""

    BROKEN = "broken"
    """Someone must act."""
    REJECTED = "rejected"
    """Nothing was promoted, and that is how it should be."""
    WAITING = "waiting"
    """An approval is asked for, and until when."""
    GOOD_NEWS = "good_news"
    """Promoted, recovered, rolled back, released."""
