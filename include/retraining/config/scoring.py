"""What a model's champion scores: the section `scoring` of its YAML.

Light on purpose: a DAG file imports this at every parse, so nothing but pydantic is imported here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from include.retraining.config.base import Section, Text
from include.retraining.config.compute import Compute
from include.retraining.config.sections import ColumnName, refuse_other_than_data_files
from include.retraining.config.step_compute import LocalCompute
from include.retraining.config.trigger import refuse_escaping, refuse_other_than_cron

DATE = "{date}"
OWN_FOLDERS = ("models", "outbox", "watch", "published", "store.json")
"""What of the store nothing else may be written to."""
ADDED = re.compile(r"prediction|probability_.*|score")
"""The columns that `predict` gives."""
MODEL_VERSION = "model_version"
"""The column that says which version made a row's prediction."""
Days = Annotated[int, Field(ge=0, le=366, strict=True)]


def refuse_own_folder(path: str) -> None:
    """Refuse a path in the store, to be written to, where the store keeps its own records.

    Raises:
        ValueError: naming it and what is allowed.
    """
    if path.partition("/")[0] in OWN_FOLDERS:
        raise ValueError(
            f"{path!r} lies where the store keeps its own records; take a folder of its own, "
            "for example scores/NAME"
        )


class ScoringInput(Section):
    """Where the rows to score lie."""

    location: Text
    """The folder of the rows to score, given like `data.location`; with `{date}` there is a
    partition for each day."""
    flag: Text
    """The file that its producer writes last, given like `trigger.flag`."""
    files: Annotated[tuple[Text, ...], Field(min_length=1)] = ("*.csv", "*.parquet")
    """Names or patterns of the files, as `data.files`. They are read as the contract and
    `data.csv` say; the label need not be there."""

    _addresses = field_validator("location", "flag")(refuse_escaping)
    _plain_names = field_validator("files")(refuse_other_than_data_files)


class Scoring(Section):
    """What the champion scores, when, and where its scores go."""

    input: ScoringInput
    output: Text
    """The folder of the scores, relative to the store or an address. It holds `{date}` where the
    input does."""
    schedule: str
    """A cron expression in the model's time zone: the backstop, by which a run finds the input and
    the champion that no event announced."""
    key: ColumnName | None = None
    """The column that names a row: unique and never missing; null: `data.key`."""
    carry: tuple[ColumnName, ...] = ()
    """Columns of the input to repeat beside the predictions."""
    look_back_days: Days = 7
    """How many days back a run takes up partitions that have no scores yet, or whose input was
    delivered again. A new champion scores the newest of them that is complete. 0: today's only, so
    a flag that lands after midnight is scored by its `date` alone."""
    rescore_days: Days = 0
    """After a rollback: of how many days, today included, the partitions are scored again that the
    version scored that was rolled back. 0: only the newest partition is."""
    compute: Compute = LocalCompute()
    """Where the scoring runs and what it may use, as for any step."""

    _addresses = field_validator("output")(refuse_escaping)
    _cron = field_validator("schedule")(refuse_other_than_cron)

    @field_validator("output")
    @classmethod
    def _of_its_own(cls, value: str) -> str:
        segments = value.rpartition("://")[2].strip("/").split("/")
        if "." in segments or "" in segments:
            raise ValueError(f"{value!r}: '.' and '//' are not allowed in a path")
        if "://" not in value:
            refuse_own_folder(value)
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Scoring:
        places = {
            "input.location": self.input.location,
            "input.flag": self.input.flag,
            "output": self.output,
        }
        dated = [name for name, place in places.items() if DATE in place]
        if dated and len(dated) < len(places):
            raise ValueError(
                f"{{date}}: it is in {' and '.join(dated)} only; either input.location, input.flag "
                "and output all hold it, or none of them does"
            )
        if (same := self.output.rstrip("/")) == self.input.location.rstrip("/"):
            raise ValueError(f"output: {same!r} is the input's folder; take another one")
        is_elsewhere = self.compute.backend != "local"
        for name, place in places.items():
            if place.startswith("file://") and is_elsewhere:
                raise ValueError(
                    f"{name}: {place!r} is on the worker's disk, which a job on "
                    f"{self.compute.backend} cannot reach"
                )
        return self

    @property
    def is_dated(self) -> bool:
        """Whether there is a partition for each day."""
        return DATE in self.output

    def contradictions(self, *, key: str, label: str, location: str) -> Iterator[str]:
        """Yield where this section does not fit the model's data.

        Args:
            key: the key column of the data.
            label: the label column.
            location: the folder of the deliveries.
        """
        if self.output.rstrip("/") == location.rstrip("/"):
            yield f"scoring.output: {self.output!r} is data.location; take another folder"
        own_key = self.key or key
        if own_key == label:
            yield f"scoring.key: {label!r} is the label"
        if len(set(self.carry)) != len(self.carry):
            yield "scoring.carry: a column is named twice"
        for name in self.carry:
            if name == own_key:
                yield f"scoring.carry: {name!r} is the key, which is always there"
            if name == label:
                yield f"scoring.carry: {name!r} is the label, which is not read"
        for name in (own_key, *self.carry):
            if name == MODEL_VERSION or ADDED.fullmatch(name):
                yield f"scoring: {name!r} is the name of a column that the scores add"
