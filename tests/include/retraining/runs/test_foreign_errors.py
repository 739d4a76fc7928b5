"""Errors of foreign code are told by kind and place; their words stay in the task's log."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from include.retraining.documents import parse_json
from include.retraining.runs.foreign_errors import kind_and_place, withheld


def test_words_of_a_library_stay_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """What a library says of a cell is in the log and in nothing that is told."""
    with pytest.raises(ValueError, match="Jane Doe") as raised:
        LinearRegression().fit(np.array([["Jane Doe"]], dtype=object), [1])
    told = withheld(raised.value, logging.getLogger("include"))
    assert "Jane" not in told
    assert told.startswith("ValueError raised in sklearn/")
    assert "the task's log" in told
    assert "Jane Doe" in caplog.text


def test_the_line_of_ours_is_named() -> None:
    """The last line of this repository on the way to the error is named, and who raised it."""
    with pytest.raises(ValueError, match="line 1") as raised:
        parse_json(b"{")
    told = kind_and_place(raised.value)
    assert told.startswith("JSONDecodeError at include/retraining/documents.py line ")
    assert "in parse_json, raised in decoder.py" in told


def test_what_no_row_can_bring_about_is_said() -> None:
    """A module that is missing and the system's own word are named."""
    with pytest.raises(ImportError) as missing:
        import no_such_module  # type: ignore[import-not-found] # noqa: F401
    assert "ModuleNotFoundError (of no_such_module)" in kind_and_place(missing.value)
    assert kind_and_place(OSError(28, "Jane Doe")) == "OSError (No space left on device)"
    assert kind_and_place(OSError("Jane Doe")) == "OSError"
