"""Predicting for the rows of a file: CSV and Parquet, in and out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import load_model_code
from include.retraining.data.column_types import ColumnTypes, all_fitted, to_frame
from include.retraining.data.csv_file import checked_columns, read_csv
from include.retraining.data.csv_mistakes import CsvText
from include.retraining.data.parquet_file import open_parquet, read_columns
from include.retraining.data.producer_manifest import DATA_ENDINGS, is_csv_name
from include.retraining.data.reading import Reading, reading_of
from include.retraining.exceptions import DataRejected, ParameterError
from include.retraining.registry.versions import VersionManifest
from include.retraining.serving.columns import dtype_of
from include.retraining.serving.version import LoadedVersion
from include.retraining.training.command_tables import CSV, PARQUET, write_table


def predict_file(loaded: LoadedVersion, config: ModelConfig, data: Path, out: Path) -> int:
    """Write what a version predicts for the rows of a file, and return how many they are.

    A row has its key, where the file has the key's column, and what `LoadedVersion.predict` gives.

    Args:
        loaded: the version.
        config: the model's: its key, and how its CSV files are written.
        data: ends in `.csv`, `.csv.gz` or `.parquet`.
        out: ends in `.csv` or `.parquet`; put last, and only when all rows are predicted.

    Raises:
        ParameterError: when a file's name cannot be used, naming it and what is allowed.
        DataRejected: naming the file, the column and the rows; never a cell.
        TrainingError: when the model fails, or predicts what is none.
    """
    check_paths(data, out)
    frame = _read(loaded.manifest, config, data)
    try:
        predictions = loaded.predict(frame)
    except DataRejected as error:
        raise DataRejected(f"{data}: {error}") from error
    key = frame.columns.intersection([config.data.key])
    if not key.intersection(predictions.columns).empty:
        raise DataRejected(
            f"{data}: the key is the column {config.data.key!r}, which is what a column of the "
            "predictions is called: give the file without it"
        )
    columns = {str(name): cells for name, cells in frame[key].items()}
    columns |= {str(name): cells for name, cells in predictions.items()}
    _write_whole(columns, out)
    return len(predictions)


def check_paths(data: Path, out: Path) -> None:
    """Refuse the names of files before anything is loaded.

    Raises:
        ParameterError: naming the file and what is allowed.
    """
    if not data.name.endswith(DATA_ENDINGS):
        raise ParameterError(f"--data {data}: allowed endings are {', '.join(DATA_ENDINGS)}")
    if not data.is_file():
        raise ParameterError(f"--data {data}: there is no such file")
    if out.suffix not in {CSV, PARQUET}:
        raise ParameterError(f"--out {out}: allowed endings are {CSV} and {PARQUET}")
    if not out.absolute().parent.is_dir():
        raise ParameterError(f"--out {out}: there is no such folder: make it first")
    if out.is_dir() or (out.exists() and out.samefile(data)):
        raise ParameterError(f"--out {out}: name another file: this one is a folder or the data")


def _read(manifest: VersionManifest, config: ModelConfig, data: Path) -> pd.DataFrame:
    """Read what a version reads, and the key; cells of CSV as the types of its training."""
    reading = _reading(manifest, config)
    name = str(data)
    if is_csv_name(data.name):
        header = CsvText(data, name, reading.csv).checked_header(manifest.features)
        table = read_csv(data, name, reading, _wanted(header, manifest, config, name))
    else:
        with open_parquet(data, name) as parquet:
            present = parquet.schema_arrow.names
            table = read_columns(parquet, _wanted(present, manifest, config, name), name)
    if table.num_rows == 0:
        raise DataRejected(f"{name}: has no rows")
    return to_frame(all_fitted(table, reading.types), reading.types)


def _wanted(
    present: Sequence[str], manifest: VersionManifest, config: ModelConfig, name: str
) -> list[str]:
    key = [config.data.key] if config.data.key in present else []
    return checked_columns(present, [*key, *manifest.features], name)


def _reading(manifest: VersionManifest, config: ModelConfig) -> Reading:
    """Return as what a file is read: types of the training, else those of the contract of now."""
    types = {
        name: dtype_of(recorded)
        for name, recorded in zip(manifest.features, manifest.feature_types or (), strict=False)
    }
    unknown = [name for name in manifest.features if types.get(name) is None]
    if unknown:
        contract = reading_of(config, load_model_code(config)).types
        types |= {name: contract.of(name) for name in unknown}
    return Reading(
        model=config.name,
        types=ColumnTypes(types),
        csv=config.data.csv,
        key="",  # the key is carried along as it is written
        features=manifest.features,
        guessed=frozenset(name for name in unknown if types[name] is None),
    )


def _write_whole(columns: dict[str, pd.Series[Any]], out: Path) -> None:
    """Write a file under another name and give it its own once it is on the disk."""
    with tempfile.TemporaryDirectory(prefix=".predict-", dir=out.absolute().parent) as folder:
        written = Path(folder, out.name)
        write_table(written, columns)
        with written.open("rb") as file:
            os.fsync(file.fileno())
        written.replace(out)
