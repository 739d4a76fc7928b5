"""How an exception that nobody foresaw is told to people: what it is and where, never what it says.

The text of a library's exception may quote what it worked on (`could not convert string to float:
'Jane Doe'`), and a step works on personal data. Records, messages and pages therefore get its type
and its place in our code; the text and the traceback go to the task's log.
"""

from __future__ import annotations

import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OURS = ROOT / "include"


def type_and_place(error: BaseException) -> str:
    """Return an exception's type and the last line of our own code that it passed through.

    For example `ZeroDivisionError at include/retraining/gate.py:120`. A model's file is our own.
    """
    places = [
        f"{path.relative_to(ROOT).as_posix()}:{place.lineno}"
        for place in traceback.extract_tb(error.__traceback__)
        if (path := Path(place.filename)).is_relative_to(OURS)
    ]
    name = type(error).__name__
    return f"{name} at {places[-1]}" if places else name
