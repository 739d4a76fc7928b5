"""Reading an input, predicting its rows, and writing them as one Parquet file."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from include.retraining.config.model_code import ModelCode
from include.retraining.config.scoring import MODEL_VERSION
from include.retraining.data.dataset import read_dataset
from include.retraining.data.feature_contract import check_features
from include.retraining.data.reading import reading_of
from include.retraining.exceptions import StorageError, TrainingError
from include.retraining.fingerprint.pinned import PinnedFile
from include.retraining.scoring.job import ScoreJob
from include.retraining.scoring.partitions import PlannedPartition, scoring_of
from include.retraining.scoring.scores import ScoresFolder
from include.retraining.scoring.unknown import count_unknown
from include.retraining.serving.version import LoadedVersion

ROWS_PER_GROUP = 500_000


@dataclass(frozen=True)
class ScoredTable:
    """A file of scores that is in the store."""

    file: PinnedFile
    rows: int
    columns: tuple[str, ...]
    unknown: dict[str, int]
    """As `Scores.unknown`."""


def write_table(
    job: ScoreJob,
    planned: PlannedPartition,
    version: LoadedVersion,
    *,
    code: ModelCode,
    folder: ScoresFolder,
    name: str,
) -> ScoredTable:
    """Score a partition's input and write the rows, read back before this returns.

    Args:
        job: the job.
        planned: the partition.
        version: that predicts.
        code: the model's.
        folder: of the partition's scores.
        name: of the file in it; nothing else is ever written there.

    Raises:
        DataRejected: when the input breaks the contract of the features.
        DataChanged: when a pinned file is no longer what was pinned.
        TrainingError: when the version cannot predict.
        StorageError: when the store refuses, does not answer, or the file arrived altered.
    """
    scoring = scoring_of(job.config)
    key = scoring.key or job.config.data.key
    columns = list(dict.fromkeys((key, *scoring.carry, *version.features)))
    reading = reading_of(job.config, code).guessing(version.features)
    frame = read_dataset(job.store, planned.input, reading, columns)
    check_features(
        frame, job.config, code, key=key, features=version.features, run_date=planned.date
    )
    unknown = count_unknown(version.model, frame[list(version.features)])
    try:
        predicted = version.predict(frame)
    except TrainingError as error:
        raise TrainingError(f"{planned.name}: {error}{_hint(unknown)}") from error
    table = _table(frame[[key, *scoring.carry]], predicted, version)
    with tempfile.TemporaryDirectory(prefix="retraining-") as scratch:
        path = Path(scratch, "scores.parquet")
        pq.write_table(table, path, compression="zstd", row_group_size=ROWS_PER_GROUP)
        file = _uploaded(folder, path, name)
    return ScoredTable(file, len(frame), tuple(table.column_names), unknown)


def _table(kept: pd.DataFrame, predicted: pd.DataFrame, version: LoadedVersion) -> pa.Table:
    """Return key and carried columns, predictions, and which version made them."""
    table = pa.Table.from_pandas(pd.concat([kept, predicted], axis=1), preserve_index=False)
    zeros = pa.repeat(pa.scalar(0, pa.int32()), table.num_rows)
    made_by = pa.DictionaryArray.from_arrays(zeros, [version.version])
    return table.append_column(MODEL_VERSION, made_by)


def _uploaded(folder: ScoresFolder, path: Path, name: str) -> PinnedFile:
    """Upload a file and read it back."""
    with path.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    size = path.stat().st_size
    folder.store.upload(path, folder.key(name))
    if folder.store.digest(folder.key(name)) != (size, sha256):
        raise StorageError(f"{folder.uri}/{name}: the upload arrived altered")
    return PinnedFile(name=name, size=size, sha256=sha256)


def _hint(unknown: dict[str, int]) -> str:
    """Return in which columns are values that the version does not know, to end a sentence."""
    parts = [f"{rows:,} in {name!r}" for name, rows in unknown.items() if rows]
    return f"; rows with values that it was not trained on: {', '.join(parts)}" if parts else ""
