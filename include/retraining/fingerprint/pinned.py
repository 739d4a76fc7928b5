"""What a run pins before it trains: the delivery's files, the flag, and the code."""

from __future__ import annotations

from include.retraining.documents import Document


class PinnedFile(Document):
    """One data file of a delivery."""

    name: str
    """The name relative to the delivery's folder."""
    size: int
    """Bytes."""
    sha256: str
    """Of the content, in hex."""


class Flag(Document):
    """The flag that a run fired on."""

    uri: str
    """Its address."""
    identity: str
    """Changes whenever the flag is written again: mtime and size, or the ETag."""
    is_consumable: bool
    """True for a fixed path: the decision consumes this identity. A dated path is not consumed."""


class Delivery(Document):
    """One complete, pinned delivery."""

    location: str
    """The address of its folder."""
    flag: Flag
    files: tuple[PinnedFile, ...]
    """Sorted by name."""

    @property
    def total_bytes(self) -> int:
        """The size of all files."""
        return sum(file.size for file in self.files)


class PinnedExtra(Document):
    """An extra of the model: libraries that not every model has."""

    name: str
    libraries: tuple[str, ...]
    """What it adds to the common libraries, for example `lightgbm==4.6.0`."""


class ForgetList(Document):
    """The keys to forget that a run pinned: those of all requests up to one."""

    requests: int
    """The number of the newest request."""
    keys: int
    """How many different keys they name."""
    digest: str
    """SHA-256 over the keys' hashes, in order."""


class Forgotten(Document):
    """What a training forgot: whose rows it was not given."""

    pinned: ForgetList
    rows: int
    """Rows of the delivery that were left out, on both sides of the split."""


class Code(Document):
    """The code that a run uses."""

    core_digest: str
    """SHA-256 over `include/retraining/`."""
    model_digest: str
    """SHA-256 of the model's own Python file."""
    lock_digest: str
    """SHA-256 of the lock of what jobs install, and of the locks of the model's extras."""
    python: str
    """The minor version that trains, for example `3.12`."""
    git_sha: str | None = None
    """The commit, where the bundle or the image knows it. Recorded, not part of the fingerprint."""
    image: str | None = None
    """The image, where jobs run in one. Recorded, not part of the fingerprint."""
    wiring_digest: str | None = None
    """SHA-256 over `dags/` and `include/orchestration/`, which a promotion compares. Not part of
    the fingerprint; None without them, and in what was planned before it was recorded."""
    training_digest: str | None = None
    """SHA-256 over all that can change the model, as `digests.py` says: the fingerprint's.
    None in what was planned before it was recorded."""
    judging_digest: str | None = None
    """SHA-256 over what checks the data, scores and judges: with another one a version is judged
    again and not trained again. None as above."""
    extras: tuple[PinnedExtra, ...] = ()
    """The model's extras. Their locks are in the digests of the training and of the lock."""
    scorers: tuple[str, ...] = ()
    """The files beside the models that hold the scorers of its own metrics. They are in the digests
    of the model and of what judges."""


# Of the code, what cannot change a model, or is in the training's digest too.
RECORDED_ONLY = frozenset({
    "core_digest",
    "model_digest",
    "lock_digest",
    "git_sha",
    "image",
    "wiring_digest",
    "judging_digest",
    "extras",
    "scorers",
})
