"""What every part of a model's YAML is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# pydantic's own regex engine: "$" is the end of the text, not before a last newline as in `re`.
NAME_PATTERN = r"^[a-z][a-z0-9_]{1,47}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
# Where a slip would move a limit: `true` is not 1.0, and neither is "1.0".
Limit = Annotated[float, Field(strict=True)]
Count = Annotated[int, Field(strict=True, gt=0)]


class Section(BaseModel):
    """A frozen part of a model's YAML; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
