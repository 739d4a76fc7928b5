"""What steps used, against what they were given."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.pages.step_usage import bytes_of, step_uses
from include.retraining.decisions.records import decisions
from tests.support.large_store import crowded_store


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ("4096MiB", 4096 * 2**20),
        ("4GiB", 4 * 2**30),
        ("1.5 GiB", 3 * 2**29),
        (None, None),
        ("", None),
    ],
)
def test_memory_is_read_as_it_is_written(memory: str | None, expected: int | None) -> None:
    """None is no limit."""
    assert bytes_of(memory) == expected


def test_a_step_has_its_last_use_and_the_most(tmp_path: Path) -> None:
    """Of all the decisions that are looked at, those without a job left out."""
    store = crowded_store((tmp_path / "s").as_uri(), models=1, decisions=20, first=("aa",))
    records = list(decisions(store, "aa"))
    ran = [record for record in records if record.compute]
    assert 1 < len(ran) < len(records)
    uses = {use.step: use for use in step_uses(records)}
    assert list(uses) == ["validate", "train", "evaluate"]
    for step, use in uses.items():
        assert use.record == ran[0]
        assert use.max_bytes == max(record.compute[step].peak_memory_bytes for record in ran)  # type: ignore[type-var]
        assert use.max_seconds == max(record.compute[step].seconds for record in ran)  # type: ignore[type-var]
    assert "% of 4096MiB" in uses["train"].bar
    assert step_uses([]) == []
