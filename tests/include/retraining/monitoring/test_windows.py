"""What a series of windows shows: k of the last n, and the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from include.retraining.monitoring.windows import State, Window, judge

START = datetime(2026, 11, 1, tzinfo=UTC)
MEANING = {"x": True, "o": False, "?": None}


@pytest.mark.parametrize(
    ("series", "state"),
    [
        ("", State.CANNOT_JUDGE),
        ("o", State.HEALTHY),
        ("x", State.CANNOT_JUDGE),
        ("ox", State.HEALTHY),
        ("xx", State.DECAYED),
        ("xox", State.DECAYED),
        ("xxo", State.HEALTHY),
        ("xoox", State.HEALTHY),
        ("x?x", State.DECAYED),
        ("xx?", State.CANNOT_JUDGE),
        ("x??x", State.CANNOT_JUDGE),
    ],
)
def test_two_of_the_last_three_and_the_newest_are_a_decay(series: str, state: State) -> None:
    """What passed is none, and what cannot be judged is neither a decay nor health."""
    windows = [
        Window(f"day-{number}", START + timedelta(days=number), MEANING[sign], "roc_auc 0.80")
        for number, sign in enumerate(series)
    ]
    assert judge(windows, beyond=2, of_last=3).state is state
