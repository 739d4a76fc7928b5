"""The scores of one partition: files that are never overwritten, and numbered manifests.

OUTPUT/00000002.json                              the highest number names the scores that count
OUTPUT/data/VERSION/RUN.ATTEMPT/scores.parquet    the rows: key, carried columns, predictions

A manifest is put if its number is free, last, after its files were read back. So a partition has
the scores of one version, all of them, or still those that it had before.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from include.retraining.data.delivery_place import open_location
from include.retraining.documents import Document, canonical_json, sha256_of
from include.retraining.exceptions import ArtifactError, MissingObject
from include.retraining.fingerprint.pinned import Delivery, PinnedFile
from include.retraining.store.object_store import Store

MAX_EARLIER = 20
"""How many of a partition's newest manifests are read back for earlier scores."""
_NUMBERED = re.compile(r"([0-9]{8})\.json")


def input_digest(delivery: Delivery) -> str:
    """Return the SHA-256 of what an input holds: its files by name, size and content."""
    return sha256_of(canonical_json([file.model_dump(mode="json") for file in delivery.files]))


class Scores(Document):
    """The manifest of a partition's scores. Put if absent, last."""

    format: int = 1
    model: str
    partition: str
    """ISO date of its day, or `all`."""
    number: int
    """Of the partition, from 1; the highest counts."""
    version: str
    """The version that made every one of these predictions."""
    generation: int
    """Of the promotion log when they were made."""
    version_digest: str
    """SHA-256 of the version's manifest."""
    rows: int
    files: tuple[PinnedFile, ...]
    """Names relative to the partition's folder."""
    columns: tuple[str, ...]
    input: Delivery
    """What was scored, each file by its SHA-256."""
    unknown: dict[str, int]
    """By column, how many rows hold a value that the version was not trained on; only columns of
    which that is known."""
    run_id: str
    attempt: str
    created_at: datetime

    def is_of(self, version: str, digest: str) -> bool:
        """Return whether a version made these scores of an input with that `input_digest`."""
        return self.version == version and input_digest(self.input) == digest

    def answers(self, version: str, delivery: Delivery) -> bool:
        """Return whether a version made these scores of this delivery: files and flag."""
        is_announced = self.input.flag.identity == delivery.flag.identity
        return is_announced and self.is_of(version, input_digest(delivery))


@dataclass(frozen=True)
class ScoresFolder:
    """The folder of one partition's scores."""

    store: Store
    folder: str

    @classmethod
    def at(cls, store: Store, output: str) -> Self:
        """Return the folder at an address, or at a path relative to the store.

        Raises:
            MissingFolder: for a `file://` address whose disk is not there.
        """
        if "://" not in output:
            return cls(store, output.rstrip("/"))
        # A day's folder of a disk need not be there yet, its parent must.
        parent, _, name = output.rstrip("/").rpartition("/")
        opened, folder = open_location(store, parent)
        return cls(opened, f"{folder}/{name}".lstrip("/"))

    @property
    def uri(self) -> str:
        """Its whole address."""
        return f"{self.store.uri}/{self.folder}"

    def key(self, name: str) -> str:
        """Return the key of a file in it."""
        return f"{self.folder}/{name}"

    def manifest_key(self, number: int) -> str:
        """Return the key of a manifest."""
        return self.key(f"{number:08d}.json")

    def numbers(self) -> list[int]:
        """Return the numbers of the manifests, in order."""
        names = (info.key.rsplit("/", 1)[-1] for info in self.store.children(self.folder)[1])
        return sorted(int(match[1]) for name in names if (match := _NUMBERED.fullmatch(name)))

    def read(self, number: int) -> Scores:
        """Return one manifest.

        Raises:
            EvidenceError: when it cannot be parsed.
        """
        key = self.manifest_key(number)
        return Scores.from_bytes(self.store.read(key), where=key)

    def newest(self) -> Scores | None:
        """Return the manifest of the scores that count, None for a partition without any."""
        numbers = self.numbers()
        return self.read(numbers[-1]) if numbers else None

    def earlier(self, version: str, digest: str) -> Scores | None:
        """Return earlier scores of the same input by the same version, newest first, if unaltered.

        So a version that serves again need not score again what it has scored. Only the
        `MAX_EARLIER` newest manifests are read: what an input replaced lies behind its own.
        """
        for number in reversed(self.numbers()[-MAX_EARLIER:]):
            scores = self.read(number)
            if scores.is_of(version, digest):
                try:
                    self.verify(scores)
                except ArtifactError:
                    continue
                return scores
        return None

    def verify(self, scores: Scores) -> None:
        """Read the files of some scores and compare them with the manifest.

        Raises:
            ArtifactError: for one that is missing or altered.
        """
        for file in scores.files:
            try:
                actual = self.store.digest(self.key(file.name))
            except MissingObject:
                raise ArtifactError(f"{self.uri}/{file.name}: is missing") from None
            if actual != (file.size, file.sha256):
                raise ArtifactError(f"{self.uri}/{file.name}: is not what its manifest says")

    def publish(self, scores: Scores, is_current: Callable[[], bool]) -> Scores | None:
        """Make some scores those that count, if their version and their input still do.

        Args:
            scores: whose files are there and verified; its number is chosen here.
            is_current: whether the version is the champion, and the input the one that lies
                there, at this moment.

        Returns:
            The manifest that counts and is of this version and input; None when one of them no
            longer counts, or newer scores are there. Asked again after the manifest was put: a run
            that was planned just before saw the scores of before and left them.
        """
        while True:
            newest = self.newest()
            if newest is not None and newest.answers(scores.version, scores.input):
                return newest
            if not is_current() or (newest is not None and newest.generation > scores.generation):
                return None
            number = 1 if newest is None else newest.number + 1
            numbered = scores.model_copy(update={"number": number})
            if self.store.create(self.manifest_key(number), numbered.to_bytes()):
                return numbered if is_current() else None
