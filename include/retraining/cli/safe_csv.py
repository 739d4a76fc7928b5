"""CSV that a spreadsheet shows and does not run.

A cell that begins with `=`, `+`, `-` or `@` is a formula to a spreadsheet, wherever the file came
from: https://owasp.org/www-community/attacks/CSV_Injection
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# The last four are the same signs as wide letters, which some languages write.
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV with a header, without a last line break.

    Text that a spreadsheet would take for a formula gets an apostrophe before it. None is an empty
    cell.

    Args:
        columns: their names, in order.
        rows: by column; numbers, truth values and text.
    """
    out = io.StringIO()
    # All text: of itself the writer leaves a lone carriage return bare, which begins a row.
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    return out.getvalue().removesuffix("\n")


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return f"'{value}"
    return value
