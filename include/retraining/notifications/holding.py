"""Which notices are held instead of sent: those that are silenced, and those of a flood."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from include.retraining.notifications.flood import Written, is_flooded, written_alike
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.notice_pieces import FLOODED, SILENCED, Pieces, pieces
from include.retraining.notifications.silences import Silence, covering, open_silences
from include.retraining.store.object_store import Store

NOT_SILENCED = frozenset({"silence_begun", "silence_ended", "silence_failed"})
"""Events that say that, and why, others are not sent."""


class Holding:
    """The rules of one pass: the store is asked once, and only when a notice is to be sent."""

    def __init__(
        self,
        store: Store,
        digest_above: Callable[[str], int],
        *,
        listed: Pieces | None = None,
    ) -> None:
        """Ask nothing yet.

        Args:
            store: with the outbox and the silences.
            digest_above: returns how many alike messages are sent one by one, by the model.
            listed: what lies in the outbox, where that is known.
        """
        self._store = store
        self._digest_above = digest_above
        self._listed = listed
        self._alike: dict[str, list[Written]] | None = (
            None if listed is None else written_alike(listed)
        )

    @cached_property
    def silences(self) -> list[Silence]:
        """The silences that last."""
        return open_silences(self._store)

    def piece_for(self, notice: Notice) -> str | None:
        """Return the name of the piece that holds a notice; None when it is to be sent.

        Raises:
            StorageError: when the store refuses or does not answer.
        """
        if notice.lists or notice.closes is not None or notice.event in NOT_SILENCED:
            return None
        silence = covering(self.silences, notice.model, notice.kind) if notice.model else None
        if silence is not None:
            return f"{SILENCED}{silence.id}"
        if self._alike is None or self._listed is None or notice.key not in self._listed:
            self._listed = pieces(self._store)
            self._alike = written_alike(self._listed)
        above = self._digest_above(notice.model)
        return FLOODED if is_flooded(notice.key, self._alike, above=above) else None
