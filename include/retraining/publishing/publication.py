"""What is published: a champion, by its entry in the promotion log and its version."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pydantic import AwareDatetime

from include.retraining.documents import Document
from include.retraining.exceptions import RetrainingError
from include.retraining.fingerprint.pinned import PinnedFile
from include.retraining.gate.report import EvaluationReport
from include.retraining.history.lookup import find_run
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.registry.versions import VersionManifest, read_version, verify_version
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

CARD = "card.md"


class Publication(Document):
    """A champion as a pointer names it and a webhook reports it.

    The same entry of the log always gives the same bytes.
    """

    format: int = 1
    model: str
    generation: int
    """The entry's number in the promotion log: a receiver ignores all but the highest."""
    kind: PromotionKind
    version: str
    version_digest: str
    """SHA-256 of the version's manifest."""
    promoted_at: AwareDatetime
    is_held: bool
    """Whether no run may promote until someone releases it."""
    store: str
    """The store's address."""
    manifest: str
    """The key of the version's manifest in the store."""
    folder: str
    """The key of the folder of the version's files in the store."""
    files: tuple[PinnedFile, ...]
    """The version's files with their sizes and SHA-256, relative to that folder."""
    problem: str
    features: tuple[str, ...]
    classes: tuple[int | str, ...] | None
    data_date: str
    """ISO date of the data that the version was trained on."""
    metric: str | None
    value: float | None
    """The decision metric on the holdout of the run that promoted the version."""


@dataclass(frozen=True)
class Champion:
    """A champion with all that a target may want of it."""

    store: Store
    title: str
    entry: PromotionEntry
    manifest: VersionManifest
    """Of its version, as the entry's digest says."""

    @property
    def message_id(self) -> str:
        """Names the entry for a receiver: the same in each try, another in another store."""
        return f"{self.entry.model}.{self.entry.generation}.{self.entry.nonce[:12]}"

    @cached_property
    def publication(self) -> Publication:
        """What a pointer and a webhook hold."""
        from include.retraining.store.layout import version_manifest_key

        entry, manifest = self.entry, self.manifest
        return Publication(
            model=entry.model,
            generation=entry.generation,
            kind=entry.kind,
            version=entry.version,
            version_digest=entry.version_digest,
            promoted_at=entry.created_at,
            is_held=entry.is_held,
            store=self.store.uri,
            manifest=version_manifest_key(entry.model, entry.version),
            folder=manifest.folder,
            files=manifest.files,
            problem=manifest.problem,
            features=manifest.features,
            classes=manifest.classes,
            data_date=entry.data_date,
            metric=entry.metric,
            value=entry.value,
        )

    def verify(self) -> None:
        """Read the version's files and compare them with its manifest.

        Raises:
            ArtifactError: when one is missing or altered.
        """
        verify_version(self.store, self.manifest)

    @cached_property
    def run(self) -> RunPaths | None:
        """The run that promoted the version; None of a version that no run promoted."""
        log = PromotionLog(self.store, self.entry.model)
        entries = (one for one in log.newest_first() if one.version == self.entry.version)
        run_id = next((one.run_id for one in entries if one.run_id is not None), None)
        if run_id is None:
            return None
        try:
            return find_run(self.store, run_id, self.entry.model)
        except RetrainingError:  # then its files are published without its evidence
            return None

    def metrics(self) -> dict[str, float]:
        """Return what the version scored in the run that promoted it, by metric."""
        data = None if self.run is None else self.store.read_if_present(self.run.evaluation)
        if self.run is None or data is None:
            known = self.entry.metric is not None and self.entry.value is not None
            return {str(self.entry.metric): float(self.entry.value or 0)} if known else {}
        report = EvaluationReport.from_bytes(data, where=self.run.evaluation)
        scores = report.challenger.metrics
        return {name: value for name, value in scores.items() if value is not None}

    def card(self) -> dict[str, bytes] | None:
        """Return the model card and its pictures by name; None while there is no card."""
        if self.run is None:
            return None
        folder = self.run.card
        if not self.store.exists(f"{folder}/{CARD}"):  # it is written last
            return None
        keys = [info.key for info in self.store.children(folder)[1]]
        return {key.removeprefix(f"{folder}/"): self.store.read(key) for key in keys}


def read_champion(store: Store, title: str, entry: PromotionEntry) -> Champion:
    """Return the champion of an entry of the promotion log.

    Raises:
        ArtifactError: when the version's manifest is not the one that the entry names.
        NotFound: when there is no such version.
    """
    manifest = read_version(store, entry.model, entry.version, digest=entry.version_digest)
    return Champion(store, title, entry, manifest)
