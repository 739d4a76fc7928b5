"""How the holdout of a version's data was chosen, as reports and manifests keep it."""

from __future__ import annotations

from datetime import datetime

from include.retraining.documents import Document


class SplitUsed(Document):
    """How the holdout of a version's data was chosen; two versions compare only if these agree."""

    by: str
    """`key` or `time`."""
    holdout_fraction: float | None = None
    salt: str | None = None
    key: str | None = None
    """The key that was hashed; None in a document of before it was noted."""
    key_read: str | None = None
    """How the key became text: `text`, `float` or `time` (`split.split_used`)."""
    column: str | None = None
    holdout_days: float | None = None
    windows: int | None = None
    """For a split by time, how many periods the recipe was judged on; None where it was one."""
    gap_days: float | None = None
    """The days before each period that were not fitted to; None where there were none."""
    train_until: datetime | None = None
    """For a split by time, the newest row that was trained on."""
