"""The command that predicts for the rows of a file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from typer import Option

from include.retraining.cli.answer import print_answer
from include.retraining.cli.opening import open_log
from include.retraining.cli.options import AsJson, Name, StoreUri
from include.retraining.exceptions import RegistryError

Version = Annotated[str | None, Option(metavar="VERSION", help="default: the champion")]


def predict(
    name: Name,
    *,
    data: Annotated[Path, Option(metavar="FILE", help="rows: .csv, .csv.gz or .parquet")],
    out: Annotated[Path, Option(metavar="FILE", help="written last: .csv or .parquet")],
    version: Version = None,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """Predict for the rows of a file."""
    from include.retraining.config.model import load_model
    from include.retraining.serving.champion import load_champion
    from include.retraining.serving.prediction_file import check_paths, predict_file
    from include.retraining.serving.version import load_version

    check_paths(data, out)
    opened = open_log(store, name).store
    config = load_model(name)
    trusted = config.training.trusted
    try:
        if version is None:
            loaded = load_champion(opened, name, stale_after=timedelta(0), trusted=trusted)
        else:
            loaded = load_version(opened, name, version, trusted=trusted)
    except RegistryError as error:
        hint = f"run `verify {name}`, and see docs/runbooks/promotion_log.md"
        raise RegistryError(f"{error}; {hint}") from error
    rows = predict_file(loaded, config, data, out)
    generation = "never served" if loaded.generation is None else f"generation {loaded.generation}"
    value = {
        "model": name,
        "version": loaded.version,
        "generation": loaded.generation,
        "rows": rows,
        "out": out,
    }
    line = f"{rows:,} rows predicted by version {loaded.version} ({generation}): {out}"
    return print_answer(value, lambda: [line], as_json=as_json)
