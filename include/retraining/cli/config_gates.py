"""What can be known of a model's gates before the first run: rules that no version can meet."""

from __future__ import annotations

import math
from collections.abc import Iterator

from include.retraining.config.model import KeySplit, ModelConfig
from include.retraining.formatting.numbers import metric_name
from include.retraining.gate.margin import Z_95, rounded_up

_OF_CLASSES = frozenset({"accuracy", "balanced_accuracy", "f1", "f1_macro", "f1_weighted"})


def gate_warnings(config: ModelConfig) -> Iterator[str]:
    """Yield warnings of valid gates that pass, or fail, more than anyone would expect."""
    gates = config.gates
    if not gates.minimum:
        yield (
            "gates.minimum: names nothing: a version only has to beat the naive baseline and what "
            f"serves; say which {metric_name(gates.metric)} is any use"
        )
    yield from _never_enough(config)
    margin = gates.champion.margin
    if margin == 0:
        yield (
            "gates.champion.margin: 0 asks to be better: an equal version is refused each time; "
            "leave it out, or see docs/margins.md"
        )
    elif margin is not None:
        yield from _never_met(config, margin)


def _never_enough(config: ModelConfig) -> Iterator[str]:
    """Warn that the smallest accepted delivery leaves too few rows to judge by."""
    data, wanted = config.data, config.gates.min_holdout_rows
    if not isinstance(data.split, KeySplit):
        return
    fraction = data.split.holdout_fraction
    if data.min_rows * fraction < wanted:
        yield (
            f"gates.min_holdout_rows: {wanted:,} cannot be met by a delivery of data.min_rows "
            f"({data.min_rows:,}) rows: about {data.min_rows * fraction:,.0f} of them are in the "
            f"holdout; at least {math.ceil(wanted / fraction):,} would do"
        )


def _never_met(config: ModelConfig, margin: float) -> Iterator[str]:
    """Tango's interval for two versions that decide every one of n rows alike is z² / (n + z²)."""
    data = config.data
    if config.gates.metric not in _OF_CLASSES or not isinstance(data.split, KeySplit):
        return
    rows = math.floor(data.min_rows * data.split.holdout_fraction)
    half = Z_95**2 / (rows + Z_95**2)
    if half < margin:
        return
    needed = rounded_up(Z_95**2 * (1 - margin) / margin)
    yield (
        f"gates.champion.margin: {margin:g} can never be met by a delivery of data.min_rows "
        f"({data.min_rows:,}) rows: with {rows:,} of them in the holdout, the interval of two "
        f"equal versions is ± {half:.2g} at best; about {needed:,} would do there (docs/margins.md)"
    )
