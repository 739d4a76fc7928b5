"""A job's output and memory are bounded where its model names no limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.orchestration.backends.local.limits import (
    LOG_MIB,
    MEMORY_SHARE,
    TAIL_BYTES,
    limited,
    log_limit,
    memory_limit,
    worker_memory_bytes,
)
from include.retraining.exceptions import ConfigError


@pytest.mark.fault("C11")
def test_a_long_output_is_cut_and_its_end_is_kept() -> None:
    """The beginning and the end are logged, the cut is said, and what was left out is counted."""
    lines = [f"{number:09d}" for number in range(100_000)]  # 10 bytes each with its end
    shown = list(limited(iter(lines), 1000))
    assert shown[:100] == lines[:100]
    assert shown[100].startswith("cut here at ")
    kept = TAIL_BYTES // 10
    assert (
        shown[101] == f"{100_000 - 100 - kept:,} lines were left out here; it said 1.0 MiB in all"
    )
    assert shown[102:] == lines[-kept:]


def test_a_short_output_is_not_touched() -> None:
    """What fits is logged line by line as it comes."""
    lines = limited(iter(["a", "b"]), 4)
    assert next(lines) == "a"
    assert list(lines) == ["b"]


@pytest.mark.fault("M03")
def test_memory_is_a_share_of_the_workers_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's limit counts where it is below the host's memory, as does one above it."""
    (tmp_path / "pod/task").mkdir(parents=True)
    (tmp_path / "pod/memory.max").write_text("1000000\n")
    (tmp_path / "pod/task/memory.max").write_text("max\n")
    own = tmp_path / "own"
    own.write_text("0::/pod/task\n")
    assert worker_memory_bytes(tmp_path, own) == 1_000_000
    assert worker_memory_bytes(tmp_path / "none", tmp_path / "none") > 2**28
    monkeypatch.setenv(MEMORY_SHARE, "0.5")
    assert memory_limit(None) == worker_memory_bytes() // 2
    assert memory_limit(512) == 512 * 2**20


@pytest.mark.parametrize("text", ["half", "0", "50", "nan"])
def test_settings_are_checked(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that cannot be is refused by its name."""
    monkeypatch.setenv(MEMORY_SHARE, text)
    with pytest.raises(ConfigError, match=f"{MEMORY_SHARE} is '{text}'; allowed: 0.05 to 1"):
        memory_limit(None)
    monkeypatch.setenv(LOG_MIB, "0")
    with pytest.raises(ConfigError, match=LOG_MIB):
        log_limit()
