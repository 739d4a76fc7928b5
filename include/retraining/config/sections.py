"""The parts of a model's YAML: its data, its training and its alerts.

Light on purpose: a DAG file imports this at every parse, so nothing but pydantic is imported here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, Tag, field_validator, model_validator

from include.retraining.config.base import Limit, Name, Section, Text
from include.retraining.config.command_protocol import Format, Tables
from include.retraining.config.csv_dialect import CsvDialect
from include.retraining.config.trigger import refuse_escaping
from include.retraining.config.yaml_words import misread

ColumnName = Annotated[str, Field(min_length=1, max_length=120)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class ProtectedAttribute(Section):
    """A group membership that is audited and never used as a feature."""

    name: Name
    """What the report calls it, for example `race`."""
    column: ColumnName | None = None
    """The column whose values are the groups; either this or `one_hot`."""
    one_hot: tuple[ColumnName, ...] | None = None
    """Or columns of 0/1 or true/false, one per group; a row with none of them set is in the group
    `other`. What a column holds otherwise is refused, unless `labels` says what it means."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Words for the column's values, for example `{"1": male, "0": female}`; with `one_hot`, words
    for the columns, and `true` or `false` for a value that means it: `{"yes": "true"}`."""

    @model_validator(mode="after")
    def _one_source(self) -> ProtectedAttribute:
        if (self.column is None) == (self.one_hot is None):
            raise ValueError("give either `column` or `one_hot`")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the data that this attribute is read from."""
        return (self.column,) if self.column is not None else self.one_hot or ()


class KeySplit(Section):
    """The holdout is chosen by a hash of each row's key."""

    by: Literal["key"]
    """`key`: a row stays on its side of the split in every delivery."""
    holdout_fraction: Fraction = 0.2
    """The share of keys in the holdout."""
    salt: Text
    """Mixed into the hash. Changing it or the fraction makes old champions incomparable."""


class TimeSplit(Section):
    """The holdout is the newest part of the delivery."""

    by: Literal["time"]
    """`time`: a model is judged on what came after its training rows."""
    column: ColumnName
    """The column with each row's date or time."""
    holdout_days: PositiveFloat
    """Rows younger than this many days, counted back from the newest row, are the holdout."""
    windows: Annotated[int, Field(strict=True, ge=1, le=24)] = 1
    """How many periods of `holdout_days`, one before the other, the recipe is judged on: the newest
    is the holdout of the final model, for each older one the recipe is fitted to what came before
    it (docs/windows.md). 1: the holdout alone."""
    gap_days: Annotated[Limit, Field(ge=0)] = 0
    """Days before each period whose rows are not fitted to, for labels that look ahead or rows that
    depend on their neighbours."""

    @property
    def unused(self) -> set[str]:
        """The fields that change nothing as they are."""
        is_unused = {"windows": self.windows == 1, "gap_days": self.gap_days == 0}
        return {name for name, unused in is_unused.items() if unused}


class Range(Section):
    """A closed interval."""

    min: Limit
    """The least value allowed."""
    max: Limit
    """The greatest value allowed."""

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        return self


class Freshness(Section):
    """How old the newest row may be."""

    column: ColumnName
    """The column with each row's date."""
    max_age_days: PositiveFloat
    """Days between the run's date and the newest row. A row dated after it is refused."""


def refuse_other_than_data_files(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse names or patterns of files that no delivery can have."""
    for pattern in patterns:
        if "/" in pattern or "\\" in pattern or pattern.startswith("."):
            raise ValueError(f"{pattern!r}: files lie directly in the delivery's folder")
        if not pattern.endswith((".csv", ".csv.gz", ".parquet")):
            raise ValueError(f"{pattern!r}: allowed endings are .csv, .csv.gz and .parquet")
    return patterns


class Data(Section):
    """Where a delivery lies and what its producer promised."""

    location: Text
    """The delivery's folder, given like the flag; it may hold `{date}`, which is the same day."""
    files: tuple[Text, ...] = ("*.csv", "*.parquet")
    """Names or patterns of the data files in that folder, ending in `.csv`, `.csv.gz` or
    `.parquet`. Without effect when the flag is a JSON manifest: then the names it lists count."""
    csv: CsvDialect = CsvDialect()
    """How CSV files are written (docs/csv.md)."""
    key: ColumnName
    """The column that names a row: unique, never missing, the same in every delivery."""
    label: ColumnName
    """The column to predict."""
    positive: int | str | None = None
    """The label's value that means yes: to be given for a binary problem, and only there. A word
    that YAML reads as a truth value is put in quotes: `"yes"`, `"no"`, `"on"`, `"true"`."""
    protected: tuple[ProtectedAttribute, ...] = ()
    """Audited attributes; their values never appear in a message."""
    never_features: tuple[ColumnName, ...] = ()
    """Columns that give the label away and that no feature list may name."""
    split: Annotated[
        Annotated[KeySplit, Tag("key")] | Annotated[TimeSplit, Tag("time")],
        Field(discriminator="by"),
    ]
    """How the holdout is chosen."""
    min_rows: PositiveInt = 100
    """The least rows of a delivery."""
    label_rate: Range | None = None
    """The share of rows that are positive, for a binary problem only; null: not checked."""
    volume: Range | None = Range(min=0.5, max=2.0)
    """Rows relative to the median of the last ten accepted deliveries; null to switch off."""
    freshness: Freshness | None = None
    """How old the newest row may be; null where rows have no date."""

    _location = field_validator("location")(refuse_escaping)

    @field_validator("positive", mode="before")
    @classmethod
    def _one_value(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError(  # noqa: TRY004 pydantic reports a ValueError
                f"{misread(value)}; for a column of true and false, write {int(value)}"
            )
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if value is not None and not is_whole and not isinstance(value, str):
            raise ValueError(f"must be a whole number or text, is {value!r}")
        return value

    _plain_names = field_validator("files")(refuse_other_than_data_files)


COMMAND = "command"


class Commands(Section):
    """What trains and predicts where a model is written in another language."""

    train: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Program and arguments that train, for example `[Rscript, train.R]`. No shell takes part; the
    scripts lie in the folder of the model's name, beside its Python file."""
    predict: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Program and arguments that predict with what `train` left."""
    format: Format = 1
    """Of the files through which the commands are asked. With 2, `predict` is started once and
    answers one request after another; with 1 it is started for each."""
    tables: Tables = "csv"
    """How the commands' tables are written; `arrow` (IPC files) and `parquet` need `format: 2`."""

    @model_validator(mode="after")
    def _tables_of_the_format(self) -> Commands:
        if self.format == 1 and self.tables != "csv":
            raise ValueError(f"`tables: {self.tables}` needs `format: 2`; format 1 is CSV")
        return self


class Training(Section):
    """How the challenger is made: by a Python function or by commands."""

    entry_point: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")] | None = None
    """The function in the model's Python file that returns an unfitted estimator; without it and
    without `commands`, it is `build_estimator`."""
    commands: Commands | None = None
    """Or the commands of a model in another language (docs/any-language.md)."""
    allow_commands: bool = False
    """Whether earlier versions of this model that predict by a command may be run where the model
    itself is Python now. A version brings its own scripts: they are code from the store."""
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    """The seed of everything random in a training."""
    extras: tuple[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")], ...] = ()
    """Libraries of this model beside the common ones: names of locks in `include/extras/`, made by
    `make extra NAME=…` (docs/extras.md). An upgrade trains the models that name it again."""
    trusted_types: tuple[Text, ...] = ()
    """Types beyond skops' own list that a saved model may hold. Each one is code that runs when a
    model is loaded: add it in a review, never in a hurry."""

    @property
    def trusted(self) -> tuple[str, ...]:
        """What may be loaded or run: the reviewed types, and `command` where commands may be."""
        may_run = self.commands is not None or self.allow_commands
        return (*self.trusted_types, COMMAND) if may_run else self.trusted_types

    @model_validator(mode="before")
    @classmethod
    def _usual_entry_point(cls, values: Any) -> Any:
        """Write the default down, so that saying it and leaving it out are the same training."""
        ways = ("entry_point", "commands")
        if not isinstance(values, dict) or any(values.get(name) is not None for name in ways):
            return values
        return {**values, "entry_point": "build_estimator"}

    @model_validator(mode="after")
    def _one_way(self) -> Training:
        if self.commands is not None and self.entry_point is not None:
            raise ValueError(
                "give either `entry_point` (a Python function) or `commands` (another language)"
            )
        return self
