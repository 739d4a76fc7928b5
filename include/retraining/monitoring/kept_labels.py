"""The labels that a grade was made by, row by row: what a review compares those of its day with.

A file holds a label for each row of the scores, in their order, and no key: whose label it is, only
the scores say.
"""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.retraining.data.arrays import Column, Labels, Positions
from include.retraining.data.split import key_texts
from include.retraining.documents import sha256_of
from include.retraining.exceptions import ArtifactError
from include.retraining.monitoring.grade import Grade
from include.retraining.monitoring.label_windows import Window
from include.retraining.runs.results import StoredObject
from include.retraining.store.layout import grade_key, labels_by_row_key
from include.retraining.store.object_store import Store

LABEL = "label"


def keep_labels(
    store: Store, window: Window, rows: int, positions: Positions, labels: Labels
) -> StoredObject:
    """Keep the labels that a grade is made by.

    Args:
        store: with the grades.
        window: that is graded.
        rows: of the scores.
        positions: of those rows that have a label.
        labels: of these.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    buffer = io.BytesIO()
    column = pa.array(_by_row(rows, positions, labels), pa.string())
    pq.write_table(pa.table({LABEL: column}), buffer, compression="zstd")
    data = buffer.getvalue()
    digest = sha256_of(data)
    key = labels_by_row_key(window.scores.model, window.name, window.scores.version, digest)
    store.create(key, data)
    return StoredObject(key=key, size=len(data), sha256=digest)


def labels_changed(store: Store, window: Window, positions: Positions, labels: Labels) -> int:
    """Return how many labels of a window's grade are others by now, or are gone.

    0 for a window that is graded for the first time, and where its grade was made by no label.

    Args:
        store: with the grades.
        window: that is reviewed.
        positions: of the rows that have a label now.
        labels: of these.

    Raises:
        ArtifactError: when the labels that were kept were altered.
        EvidenceError: when the grade cannot be parsed.
        StorageError: when the store refuses or does not answer.
    """
    if not window.is_review:
        return 0
    key = grade_key(window.scores.model, "labels", window.name, window.scores.version)
    kept = Grade.from_bytes(store.read(key), where=key).labels_by_row
    if kept is None:
        return 0
    data = store.read(kept.key)
    if sha256_of(data) != kept.sha256:
        raise ArtifactError(f"{kept.key}: was altered since the grade named it")
    then = np.array(pq.read_table(io.BytesIO(data))[LABEL].to_pylist(), dtype=object)
    now = _by_row(len(then), positions, labels)
    had_one = pd.notna(then)
    return int((then[had_one] != now[had_one]).sum())


def _by_row(rows: int, positions: Positions, labels: Labels) -> Column:
    """Return the label of each row as text, the same for 1 and "1"; None without one."""
    texts = np.full(rows, None, dtype=object)
    texts[positions] = key_texts(pd.Series(labels)).to_numpy(zero_copy_only=False)
    return texts
