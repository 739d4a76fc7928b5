"""The data of a trial: a file or a folder that the user names, or where the model's YAML says.

A run pins what a flag announces, so a trial writes a flag of its own, in its run's folder. The
producer's flag and the data themselves stay as they are.
"""

from __future__ import annotations

import glob
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import ValidationError

from include.retraining.config.model import ModelConfig
from include.retraining.data.delivery_place import dated
from include.retraining.exceptions import ConfigError
from include.retraining.formatting.text import truncate
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import URI_VARIABLE

NOT_TRIED = {"compute", "approval", "deadline", "publish", "scoring"}
"""Sections of a model's YAML that have no part in a trial."""
ENDINGS = (".csv", ".csv.gz", ".parquet")


@dataclass(frozen=True)
class TrialData:
    """Where the data of one trial lie."""

    name: str
    """What the user calls them."""
    location: str
    """The address of their folder."""
    files: tuple[str, ...] | None = None
    """Patterns of their names; None for those of the model's YAML."""


def named_data(place: str) -> TrialData:
    """Return the data that a user names.

    Args:
        place: a file, a folder, or the address of a folder (`s3://…`).

    Raises:
        ConfigError: when there is nothing, or a file of another kind.
    """
    if "://" in place:
        return TrialData(place, place.rstrip("/"))
    path = Path(place).resolve()
    if path.is_dir():
        return TrialData(place, path.as_uri())
    if not path.is_file():
        raise ConfigError(f"{place}: there is no such file or folder")
    if not path.name.endswith(ENDINGS):
        raise ConfigError(f"{place}: a data file ends in {', '.join(ENDINGS)}")
    return TrialData(place, path.parent.as_uri(), (glob.escape(path.name),))


def data_of_yaml(config: ModelConfig, store_uri: str | None, day: date) -> TrialData:
    """Return the data that lie where the model's YAML says.

    Args:
        config: the model's.
        store_uri: where relative addresses start; None for the store of the environment.
        day: fills `{date}`.

    Raises:
        ConfigError: when the address is relative and no store is known.
    """
    location = dated(config.data.location, day).rstrip("/")
    if "://" in location:
        return TrialData(location, location)
    store_uri = store_uri or os.environ.get(URI_VARIABLE)
    if not store_uri:
        raise ConfigError(
            f"{config.name}: name the data: --data FILE or FOLDER, or set {URI_VARIABLE} to the "
            f"store in which they lie in {location} (data.location)"
        )
    return TrialData(location, f"{store_uri.rstrip('/')}/{location}")


def trial_config(config: ModelConfig, data: TrialData, paths: RunPaths) -> ModelConfig:
    """Return a model's configuration for one trial: other places, and all of it in this process.

    What starts a run, asks for an approval or uses a champion has no part in it.

    Raises:
        ConfigError: when the folder's name cannot be that of a delivery.
    """
    values = config.model_dump(mode="json", exclude=NOT_TRIED)
    values["trigger"] = {
        "schedule": None,
        "timezone": config.trigger.timezone,
        "flag": f"{paths.folder}/ready.flag",
    }
    values["data"]["location"] = data.location
    if data.files is not None:
        values["data"]["files"] = data.files
    try:
        return ModelConfig.model_validate(values)
    except ValidationError as error:
        reasons = "; ".join(truncate(problem["msg"], 200) for problem in error.errors())
        raise ConfigError(f"{data.name}: cannot be tried from there: {reasons}") from error
