"""The records of a champion, and statements that are nothing but a value of one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

from include.retraining.decisions.record import DecisionRecord
from include.retraining.decisions.record_files import (
    correction_key,
    newest_decision_keys,
)
from include.retraining.documents import Document, parse_json, sha256_of
from include.retraining.exceptions import EvidenceError, NotFound
from include.retraining.monitoring.grade import SOURCES, Grade
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.registry.versions import VersionManifest, read_version
from include.retraining.runs.manifest import RunManifest, find_manifest
from include.retraining.runs.results import ValidateResult
from include.retraining.store.layout import (
    RunPaths,
    grades_folder,
    promotion_key,
    version_manifest_key,
)
from include.retraining.store.object_store import Store

JUDGED_BY = frozenset({PromotionKind.PROMOTION, PromotionKind.UNJUDGED})
"""Entries whose run judged the version; a rollback or a release names a version of before."""

MAX_GRADES = 12


@dataclass(frozen=True)
class Fact:
    """One statement: a value that a record holds."""

    what: str
    value: Any
    """As JSON has it."""
    key: str
    """Of the record in the store."""
    pointer: str
    """Where the value is in it, as a JSON pointer (RFC 6901): `/report/holdout/rows`."""


@dataclass(frozen=True)
class Missing:
    """A part of the documentation that no record has."""

    what: str
    why: str


@dataclass(frozen=True)
class Source:
    """One record: what is stated of it is read out of its bytes."""

    name: str
    """What it is, for readers."""
    key: str
    sha256: str | None
    """Of its bytes; None where there is no such record."""
    value: Any
    """Its content as JSON; None as above."""

    @classmethod
    def of_bytes(cls, name: str, key: str, data: bytes) -> Source:
        """Return the record of some bytes."""
        return cls(name, key, sha256_of(data), parse_json(data))

    @classmethod
    def absent(cls, name: str, key: str) -> Source:
        """Return a record that the store does not have."""
        return cls(name, key, None, None)

    def state(self, what: str, *path: str | int) -> Fact | Missing:
        """Return a value of the record, or that it has none.

        Args:
            what: what the value is, in words.
            path: where it is: names of fields and places in lists.
        """
        if self.value is None:
            return Missing(what, f"there is no {self.name} in the store ({self.key})")
        value = self.at(*path)
        if value is None or value in ("", [], {}):
            return Missing(what, f"the {self.name} holds none")
        return Fact(what, value, self.key, "".join(f"/{_escaped(part)}" for part in path))

    def state_if_any(self, what: str, *path: str | int) -> Iterator[Fact]:
        """Yield a value that the record need not have, where it has one."""
        stated = self.state(what, *path)
        if isinstance(stated, Fact):
            yield stated

    def at(self, *path: str | int) -> Any:
        """Return what is at a path, None where there is nothing."""
        return reduce(_step, path, self.value)

    def items(self, *path: str | int) -> Iterator[tuple[int, Any]]:
        """Yield what a list of the record holds, each with its place."""
        yield from enumerate(self.at(*path) or ())


@dataclass(frozen=True)
class Sources:
    """All records that a dossier is made from."""

    model: str
    entry: Source
    """The entry of the promotion log by which the version serves."""
    judged_entry: Source
    """The entry by which it was first promoted: the same unless it was rolled back to."""
    version: Source
    plan: Source
    validation: Source
    decision: Source
    """With the evaluation report, the verdict and the approval."""
    log: tuple[Source, ...]
    """Every entry of the promotion log, the oldest first."""
    grades: tuple[Source, ...]
    """What the version scored on later labels: the newest `MAX_GRADES` of each source of labels."""

    @property
    def used(self) -> tuple[Source, ...]:
        """Return each record that is there, once."""
        named = (
            self.entry,
            self.judged_entry,
            self.version,
            self.plan,
            self.validation,
            self.decision,
            *self.log,
            *self.grades,
        )
        return tuple({one.key: one for one in named if one.sha256 is not None}.values())


def read_sources(store: Store, model: str) -> Sources:
    """Read the records of a model's champion.

    Raises:
        NotFound: when there is no champion yet.
        RegistryError: when the promotion log cannot be read.
        ArtifactError: when the version's manifest was altered.
        EvidenceError: when a record is there and cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    log = PromotionLog(store, model)
    entries = log.history()
    if not entries:
        raise NotFound(f"{model} has no champion yet, so there is nothing to document")
    champion = entries[-1]
    judged = _judged_entry(entries)
    version = read_version(store, model, champion.version, digest=champion.version_digest)
    decision, record = _decision(store, model, judged.run_id or version.run_id, judged.clear)
    plan, validation = _plan(store, model, champion.version, record)
    log_sources = tuple(_of_entry(log, entry) for entry in entries)
    return Sources(
        model=model,
        entry=log_sources[-1],
        judged_entry=log_sources[judged.generation - 1],
        version=_of_version(store, version),
        plan=plan,
        validation=validation,
        decision=decision,
        log=log_sources,
        grades=tuple(_grades(store, model, champion.version)),
    )


def _judged_entry(entries: list[PromotionEntry]) -> PromotionEntry:
    """Return the newest entry whose run judged the champion's version."""
    champion = entries[-1]
    own = (entry for entry in reversed(entries) if entry.version == champion.version)
    return next((entry for entry in own if entry.kind in JUDGED_BY), champion)


def _of_entry(log: PromotionLog, entry: PromotionEntry) -> Source:
    key = promotion_key(log.model, entry.generation)
    return Source.of_bytes("entry of the promotion log", key, log.read(entry.generation))


def _of_version(store: Store, version: VersionManifest) -> Source:
    key = version_manifest_key(version.model, version.version)
    return Source.of_bytes("version's manifest", key, store.read(key))


def _grades(store: Store, model: str, version: str) -> Iterator[Source]:
    """Yield the newest grades of a version, each source's in the order of their windows."""
    for source in SOURCES:
        listed = store.children(grades_folder(model, source))[1]
        own = [info.key for info in listed if info.key.endswith(f"-{version}.json")]
        for key in own[-MAX_GRADES:]:
            yield _stored(store, "grade", key, Grade)


def _decision(
    store: Store, model: str, run_id: str, clear: int | None
) -> tuple[Source, DecisionRecord | None]:
    """Return the record of the run that promoted a version, or its correction."""
    name = "decision record"
    suffix = f"-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}."
    number = None if clear is None else f"{clear:03d}.json"
    for key in newest_decision_keys(store, model):
        file = key.rpartition("/")[2]
        if suffix in file and (number is None or file.endswith(suffix + number)):
            break
    else:
        return Source.absent(name, f"models/{model}/decisions/ of run {run_id}"), None
    corrected = correction_key(key)
    for found in (corrected, key):
        data = store.read_if_present(found)
        if data is not None:
            record = DecisionRecord.from_bytes(data, where=found)
            if record.run_id != run_id:
                raise EvidenceError(f"{found}: is of run {record.run_id}, not of {run_id}")
            return Source.of_bytes(name, found, data), record
    return Source.absent(name, key), None


def _plan(
    store: Store, model: str, version: str, record: DecisionRecord | None
) -> tuple[Source, Source]:
    """Return the plan of the run that made the decision, and what its validation left."""
    plan_name, result_name = "run manifest", "result of validate_data"
    if record is None:
        nowhere = f"models/{model}/runs/"
        return Source.absent(plan_name, nowhere), Source.absent(result_name, nowhere)
    paths = RunPaths(model, RunPaths(model, record.run).first_plan)
    planned: tuple[RunPaths, RunManifest] | None = None
    while (manifest := find_manifest(store, paths)) is not None:
        if manifest.version == version:
            planned = paths, manifest
        paths = paths.next_plan()
    if planned is None:
        return Source.absent(plan_name, paths.manifest), Source.absent(result_name, paths.folder)
    paths, _ = planned
    return (
        _stored(store, plan_name, paths.manifest, RunManifest),
        _stored(store, result_name, paths.result("validate"), ValidateResult),
    )


def _stored(store: Store, name: str, key: str, kind: type[Document]) -> Source:
    """Return a record that must be readable where it is there."""
    data = store.read_if_present(key)
    if data is None:
        return Source.absent(name, key)
    kind.from_bytes(data, where=key)
    return Source.of_bytes(name, key, data)


def _escaped(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _step(value: Any, part: str | int) -> Any:
    if isinstance(value, dict) and isinstance(part, str):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None
