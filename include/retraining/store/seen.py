"""An object of the store, as it was when it was read."""

from __future__ import annotations

from include.retraining.documents import Document


class Seen(Document):
    """An object that must be there, and as it was."""

    key: str
    sha256: str
    """Of its bytes, in hex."""
