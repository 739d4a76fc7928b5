"""The answer to a manual approval.

Written once per clear of a run, after the verdict that it answers. Only the verdict that the user
saw is approved: against another champion, or by other rules, it is another verdict.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


class Approval(Document):
    """One answer, or that none came in time."""

    format: int = 1
    run_id: str
    clear: int
    verdict_digest: str
    """Of the verdict that was shown."""
    choice: Literal["approve", "reject"]
    by: str | None
    """The user; None when the time was up, which counts as a rejection."""
    note: str | None
    """Why, in the user's words."""
    answered_at: datetime

    @property
    def is_expired(self) -> bool:
        """Whether the time was up without an answer."""
        return self.by is None


def write_approval(store: Store, paths: RunPaths, approval: Approval) -> Approval:
    """Keep an answer, and return the one that counts: the first of this clear.

    Raises:
        EvidenceError: when the one that is there cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    key = paths.approval(approval.clear)
    store.create(key, approval.to_bytes())
    return Approval.from_bytes(store.read(key), where=key)


def find_answer(store: Store, paths: RunPaths, clear: int) -> Approval | None:
    """Return the answer that was given in one clear of a run, or None when there is none.

    Raises:
        EvidenceError: when it cannot be read.
    """
    key = paths.approval(clear)
    data = store.read_if_present(key)
    return None if data is None else Approval.from_bytes(data, where=key)


def find_approval(store: Store, paths: RunPaths, clear: int) -> Approval | None:
    """Return the newest answer of a run, or None when no approval was asked for.

    A clear that does not reach back to the request keeps the existing answer.

    Raises:
        EvidenceError: when it cannot be read.
    """
    answers = (find_answer(store, paths, number) for number in range(clear, -1, -1))
    return next((answer for answer in answers if answer is not None), None)


def why_not_approved(approval: Approval | None, verdict_digest: str) -> str | None:
    """Return why an answer does not approve a version, or None when it does.

    Args:
        approval: the answer.
        verdict_digest: of the verdict that is to be acted on.

    Raises:
        EvidenceError: when no approval was asked for this verdict.
    """
    if approval is None or approval.verdict_digest != verdict_digest:
        raise EvidenceError(
            "the model needs an approval, and none was asked for this verdict: clear "
            "approve_promotion"
        )
    if approval.is_expired:
        return "it was not approved in time"
    note = f": {approval.note}" if approval.note else ""
    if approval.choice == "reject":
        return f"rejected by {approval.by}{note}"
    if not (approval.note or "").strip():
        return (
            f"approved by {approval.by} without a note, which does not count: clear "
            "approve_promotion and approve it with one"
        )
    return None
