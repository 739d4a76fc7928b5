"""Where the labels of scored rows arrive: the section `labels` of a model's YAML.

Light on purpose: a DAG file imports this at every parse, so nothing but pydantic is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import Field, field_validator

from include.retraining.config.base import Section, Text
from include.retraining.config.scoring import DATE, Scoring
from include.retraining.config.sections import ColumnName
from include.retraining.config.trigger import refuse_escaping

FLAG = "_SUCCESS"
FILES = ("*.csv", "*.parquet")
"""Which files of a delivery of labels are read."""


class Labels(Section):
    """Where the labels of scored rows arrive, and after how many days they are known."""

    location: Text
    """The folder of the labels, given like `data.location`: key and label of each row, the label by
    the name of `data.label`. With `{date}`, the day on which they were delivered, there is a folder
    for each day, and a later one corrects an earlier one; without it, the folder holds all labels,
    and each delivery replaces the one before."""
    delay: Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,2})d$")]
    """After how many days the label of a row is known, such as `14d`, counted from the day of the
    row's partition. No row is graded before, whatever labels came early."""
    key: ColumnName | None = None
    """The column that names a row in the files of labels; null: that of `scoring`."""
    flag: Text | None = None
    """The file that the producer writes last, given like `trigger.flag`; null: `_SUCCESS` in the
    folder."""

    _location = field_validator("location")(refuse_escaping)

    @field_validator("flag")
    @classmethod
    def _safe_flag(cls, value: str | None) -> str | None:
        return None if value is None else refuse_escaping(value)

    @property
    def delay_time(self) -> timedelta:
        """After how long a label is known."""
        return timedelta(days=int(self.delay.removesuffix("d")))

    @property
    def is_dated(self) -> bool:
        """Whether each day's labels have a folder of their own."""
        return DATE in self.location

    @property
    def flag_file(self) -> str:
        """The address of the flag."""
        return self.flag or f"{self.location.rstrip('/')}/{FLAG}"

    def contradictions(self, scoring: Scoring | None, *, label: str) -> Iterator[str]:
        """Yield where this section does not fit the others.

        Args:
            scoring: the model's.
            label: the label column of the data.
        """
        if scoring is None or not scoring.is_dated:
            yield (
                "labels: they are joined with what `scoring` predicted day by day: give the model "
                "a section `scoring` whose input and output hold {date}"
            )
        if self.key == label:
            yield f"labels.key: {label!r} is the label"
        if self.is_dated != (DATE in self.flag_file):
            yield "labels: either location and flag both hold {date}, or none of them does"
        if scoring is not None and scoring.compute.backend != "local":
            for name, place in (("location", self.location), ("flag", self.flag_file)):
                if place.startswith("file://"):
                    yield (
                        f"labels.{name}: {place!r} is on the worker's disk, which a job on "
                        f"{scoring.compute.backend} cannot reach"
                    )
