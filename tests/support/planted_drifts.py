"""Comparisons of inputs as a job would have left them, of one column that moved as planted."""

from __future__ import annotations

from datetime import UTC, datetime

from include.retraining.monitoring.drift import Bin, ColumnDrift, Drift, Limits


def moved(index: float, limit: float = 0.2) -> ColumnDrift:
    """Return a column that moved by an index, beyond its limit or not."""
    limits = Limits(index=limit, distance=0.5, missing=0.1)
    return ColumnDrift(
        name="income",
        index=index,
        distance=0.0,
        missing_before=0.0,
        missing=0.0,
        limits=limits,
        movement=index / limit,
        bins=(Bin(label="up to 1", before=0.5, now=0.3), Bin(label="above 1", before=0.5, now=0.7)),
    )


def planted(number: int, index: float | None, *, generation: int = 1) -> Drift:
    """Return a comparison, or with None one that could not be made."""
    return Drift(
        model="toy",
        source="scoring",
        window=f"{number:08d}",
        judged_at=datetime(2026, 1, 1, tzinfo=UTC),
        version="v",
        generation=generation,
        rows=0 if index is None else 1_000,
        columns=() if index is None else (moved(index),),
        cannot_judge="no profile" if index is None else None,
    )


def planted_all(*indexes: float | None, generation: int = 1) -> list[Drift]:
    """Return comparisons in the order of their windows."""
    return [
        planted(number, index, generation=generation) for number, index in enumerate(indexes, 1)
    ]
