"""What a job hands over when it ends: exit codes and the last line."""

from __future__ import annotations

import os

import pytest

from include.retraining.runs.exit_protocol import EXIT_RETRY, LastLine, exit_code, read_last_line


def test_a_last_line_is_read_as_it_was_written() -> None:
    """A message of several lines is one line, and comes back with its step and kind."""
    written = str(LastLine("train", "storage", "no answer\n  from s3://bucket: (503)"))
    assert written == "train failed (storage): no answer from s3://bucket: (503)"
    assert read_last_line(written, "train") == LastLine(
        "train", "storage", "no answer from s3://bucket: (503)"
    )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "evaluate failed (storage): no answer",
        "retrain failed (storage): no answer",
        "train failed: no answer",
        "12 rows of train failed (storage): no answer",
    ],
)
def test_any_other_line_is_not_repeated(line: str) -> None:
    """A line that the step's job did not write as its last one may hold values of the data."""
    assert read_last_line(line, "train") is None


def test_exit_codes_are_those_of_sysexits() -> None:
    """Another try may succeed is `EX_TEMPFAIL`, and whatever would fail again is 1."""
    assert exit_code(is_permanent=False) == EXIT_RETRY == os.EX_TEMPFAIL
    assert exit_code(is_permanent=True) == 1
