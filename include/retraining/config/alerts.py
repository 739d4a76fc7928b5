"""Who is notified of a run: the connections, and when messages become a digest."""

from __future__ import annotations

from pydantic import Field

from include.retraining.config.base import Name, Section
from include.retraining.config.notice_kind import NoticeKind

DEFAULT_CONNECTION = "slack_alerts"


class Alerts(Section):
    """Who hears about a run."""

    connection: Name = DEFAULT_CONNECTION
    """The Airflow connection that messages go through. Its type decides the channel:
    `slackwebhook`, `slack`, `pagerduty_events`, `smtp` or `http`."""
    by_kind: dict[NoticeKind, Name] = Field(default_factory=dict)
    """Another connection, which is another channel, for some kinds of message: `broken` (someone
    must act), `rejected` (nothing was promoted, as it should be), `waiting` (an approval),
    `good_news` (promoted, recovered, rolled back)."""
    digest_above: int = Field(default=10, ge=1, le=1000)
    """How many messages that say the same, of all models, are sent one by one within an hour; the
    others are listed in a digest."""

    def connections(self, kind: NoticeKind) -> tuple[str, ...]:
        """Return the connections to try for a kind of message, the best first."""
        chosen = (self.by_kind.get(kind, self.connection), self.connection, DEFAULT_CONNECTION)
        return tuple(dict.fromkeys(chosen))

    @property
    def all_connections(self) -> tuple[str, ...]:
        """Every connection that some kind of message goes through first."""
        return tuple(dict.fromkeys(self.connections(kind)[0] for kind in NoticeKind))
