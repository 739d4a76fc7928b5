"""Which versions, runs and scores have a row's key. Nothing is written, and no key is repeated.

A key is looked for by the hash that the split uses: 12 and "12" are one key, as everywhere. What
has it and what cannot be known is listed; of everything else the answer is a certain no.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.retraining.data.key_sketch import KeySketch, overlap, sketch_keys
from include.retraining.data.split import key_texts
from include.retraining.documents import sha256_of
from include.retraining.evaluation.looks import Look
from include.retraining.exceptions import EvidenceError, MissingFolder, MissingObject
from include.retraining.privacy.delivered_keys import UNREADABLE, is_among, was_trained_on
from include.retraining.registry.versions import VersionManifest, find_version
from include.retraining.runs.manifest import RunManifest, find_manifest
from include.retraining.scoring.record import ScoreRecord
from include.retraining.scoring.scores import ScoresFolder
from include.retraining.store.layout import (
    RunPaths,
    looks_folder,
    model_folder,
    scored_folder,
    version_manifest_key,
)
from include.retraining.store.object_store import Store

Answer = Literal["has it", "cannot be known"]


@dataclass(frozen=True)
class Sighting:
    """One place that has the key, or of which that cannot be known."""

    model: str
    what: str
    """`training part of version 0a1b…`, `predictions of run …`, `look at a holdout`, `scores of …`.
    """
    answer: Answer
    evidence: str
    """The key or the address of the object that says so."""
    why: str = ""
    """Why it cannot be known."""


@dataclass
class WhoSaw:
    """Where a key is."""

    key_sha256: str
    """SHA-256 of the key as it stands in a file: the key itself is not repeated."""
    places: int = 0
    """How many places were looked at."""
    sightings: list[Sighting] = field(default_factory=list)


@dataclass(frozen=True)
class _Place:
    """A place that was looked at."""

    what: str
    evidence: str
    has_it: bool | None
    """None where it cannot be known."""
    why: str = ""


def who_saw(store: Store, models: Iterable[str], key: str) -> WhoSaw:
    """Look for a key in all that is kept of some models.

    Each run's predictions and each file of scores is read, and each delivery that a sketch says
    nothing of: it takes as long as reading them.

    Args:
        store: with the models.
        models: their names.
        key: as it stands in a file.

    Raises:
        EvidenceError: when a document cannot be read.
        StorageError: when the store refuses or does not answer.
    """
    (text,) = key_texts(pd.Series([key])).to_pylist()
    answer = WhoSaw(key_sha256=sha256_of(text.encode()))
    for model in models:
        for place in _places(store, model, key):
            answer.places += 1
            if place.has_it is not False:
                said: Answer = "has it" if place.has_it else "cannot be known"
                sighting = Sighting(model, place.what, said, place.evidence, place.why)
                answer.sightings.append(sighting)
    return answer


def _places(store: Store, model: str, key: str) -> Iterator[_Place]:
    plans = list(_plans(store, model))
    for name in store.children(f"{model_folder(model)}/versions")[0]:
        version = find_version(store, model, name)
        if version is not None:
            yield _trained(store, version, plans, key)
    for paths, _ in plans:
        if store.exists(paths.predictions):
            data = store.read(paths.predictions)
            what = f"predictions of run {paths.run}"
            yield _in_parquet(what, paths.predictions, data, "key", key)
    for info in store.objects(looks_folder(model)):
        look = Look.from_bytes(store.read(info.key), where=info.key)
        what = f"sketch of the holdout that version {look.version} was scored on"
        yield _Place(what, info.key, _in_sketch(look.keys, key) is True)
    for output in sorted(_outputs(store, model)):
        yield from _scores(store, output, key)


def _plans(store: Store, model: str) -> Iterator[tuple[RunPaths, RunManifest]]:
    for name in store.children(f"{model_folder(model)}/runs")[0]:
        paths = RunPaths(model, name)
        manifest = find_manifest(store, paths)
        if manifest is not None:
            yield paths, manifest


def _trained(
    store: Store,
    version: VersionManifest,
    plans: Iterable[tuple[RunPaths, RunManifest]],
    key: str,
) -> _Place:
    """Look for a key in what a version was trained on: in its sketch, else in the delivery."""
    what = f"training part of version {version.version}"
    evidence = version_manifest_key(version.model, version.version)
    used = version.rows_used
    has_it = None if used is None else _in_sketch(used.training_keys, key)
    if has_it is not None:
        return _Place(what, evidence, has_it)
    own = [(paths, run) for paths, run in plans if run.version == version.version]
    if not own:
        why = "its sketch does not reach so far, and no plan says where its delivery lies"
        return _Place(what, evidence, None, why)
    paths, run = own[0]
    try:
        return _Place(what, paths.manifest, was_trained_on(store, run, key))
    except UNREADABLE as error:
        return _Place(what, paths.manifest, None, f"its delivery cannot be read again: {error}")


def _in_sketch(sketch: KeySketch, key: str) -> bool | None:
    """Return whether a set has a key; None where its sketch does not reach so far."""
    same = overlap(sketch_keys(pd.Series([key])), sketch)
    return bool(same.found) if same.looked_up else None


def _in_parquet(what: str, where: str, data: bytes, column: str, key: str) -> _Place:
    try:
        keys = pq.read_table(io.BytesIO(data), columns=[column]).to_pandas()
    except pa.ArrowInvalid:
        return _Place(what, where, None, "it is no readable Parquet file")
    if column not in keys:
        return _Place(what, where, None, f"it has no column {column!r}")
    return _Place(what, where, is_among(keys[column], key))


def _outputs(store: Store, model: str) -> set[str]:
    """Return the addresses of all folders that scores were written to."""
    keys = [info.key for info in store.children(scored_folder(model))[1]]
    records = (ScoreRecord.from_bytes(store.read(key), where=key) for key in keys)
    return {partition.output for record in records for partition in record.partitions}


def _scores(store: Store, output: str, key: str) -> Iterator[_Place]:
    """Look into each file of a partition's scores, those that no longer count included."""
    try:
        folder = ScoresFolder.at(store, output)
        numbers = folder.numbers()
    except MissingFolder as error:
        yield _Place(f"scores in {output}", output, None, str(error))
        return
    files: dict[str, str] = {}
    for number in numbers:
        try:
            scores = folder.read(number)
        except (EvidenceError, MissingObject) as error:
            where = f"{folder.uri}/{number:08d}.json"
            yield _Place(f"scores {number} in {output}", where, None, str(error))
        else:
            files |= {file.name: scores.columns[0] for file in scores.files}
    for name, column in sorted(files.items()):
        where = f"{folder.uri}/{name}"
        what = f"scores of {name.split('/')[1]} in {output}" if "/" in name else f"scores {name}"
        try:
            data = folder.store.read(folder.key(name))
        except MissingObject:
            continue  # a file that was removed has no key
        yield _in_parquet(what, where, data, column, key)
