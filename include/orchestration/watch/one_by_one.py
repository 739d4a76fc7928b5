"""Messages of checks that are made side by side are sent one by one: Slack limits who floods it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from include.orchestration.callbacks.send import deliver_notice

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Notice
    from include.retraining.store.object_store import Store

_SENDING = threading.Lock()


def deliver_in_turn(store: Store, notice: Notice) -> None:
    """Deliver a notice as `deliver_notice` does, once no other is being sent."""
    with _SENDING:
        deliver_notice(store, notice)
