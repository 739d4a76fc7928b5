"""How a model's CSV files are written: the part `data.csv` of its YAML.

Light on purpose, like the rest of the configuration: a DAG file imports this at every parse.
"""

from __future__ import annotations

import codecs
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from include.retraining.config.base import Section

# What producers write for a missing cell, and the hint when the YAML does not name it.
MISSING_WORDS = r"(?i:na|n/a|nan|null|none|\\n|-|\?)"
NAME_MISSING = "where a word means that it is missing, name it in data.csv.missing"


class CsvDialect(Section):
    """How CSV files are written (docs/csv.md); no setting here has an effect on Parquet."""

    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """The character between two cells, for example `";"` or `"\\t"`."""
    decimal: Literal[".", ","] = "."
    """The decimal sign of numbers."""
    encoding: str = "utf-8"
    """The name of the text encoding, as Python knows it: `utf-8`, `latin-1`, `cp1252`, `utf-16`."""
    quote: Annotated[str, Field(min_length=1, max_length=1)] | None = '"'
    """The character around cells that hold a separator, a quote (then doubled) or a line break;
    null when cells are never quoted."""
    missing: tuple[Annotated[str, Field(min_length=1, max_length=40)], ...] = ()
    """Words that mean a missing cell, for example `[NA, "NULL"]`. An empty cell always does."""
    line_breaks: bool = False
    """Whether a cell may hold rows of the file, or very many lines. Otherwise such a cell is taken
    for a quote that was opened and never closed, and the delivery is refused."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value).incrementaldecoder  # noqa: B018
            "".encode(value)
        except (LookupError, ValueError) as error:
            raise ValueError(f"{value!r} is no text encoding that Python knows") from error
        return value

    @model_validator(mode="after")
    def _distinct(self) -> CsvDialect:
        signs = [self.separator, self.decimal, *([self.quote] if self.quote else [])]
        if len(set(signs)) < len(signs):
            raise ValueError("separator, decimal and quote must be three different characters")
        if set(signs) & set("\r\n") or not all(sign.isascii() for sign in signs):
            raise ValueError("separator and quote are single ASCII characters, no line breaks")
        return self
