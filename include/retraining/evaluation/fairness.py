"""How differently the challenger treats the groups of each protected attribute (fairlearn)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from include.retraining.config.model import ModelConfig, ProtectedAttribute
from include.retraining.data.arrays import Names, Targets
from include.retraining.data.one_hot import RULE, membership, value_word
from include.retraining.exceptions import DataRejected
from include.retraining.gate.report import Fairness, GroupRates
from include.retraining.training.predictions import Sample

UNKNOWN = "unknown"
OTHER = "other"


def audit_fairness(
    frame: pd.DataFrame, sample: Sample, config: ModelConfig
) -> tuple[Fairness, ...]:
    """Audit every protected attribute of a binary problem; other problems have no selection rates.

    Args:
        frame: the holdout, with the columns of the protected attributes.
        sample: the challenger's predictions for the same rows.
        config: the model's attributes, and the least rows of a group that is judged.

    Raises:
        DataRejected: when a `one_hot` column holds what is neither yes nor no.
    """
    if config.problem != "binary":
        return ()
    return tuple(
        _audit(attribute.name, group_names(frame, attribute), sample, config.gates.min_group_rows)
        for attribute in config.data.protected
    )


def group_names(frame: pd.DataFrame, attribute: ProtectedAttribute) -> Names:
    """Return each row's group: a label of the configuration, `unknown` where a value is missing.

    With one column per group, a row with none of them set is `other`; with several, it is a group
    of its own, named after all of them.
    """
    if attribute.column is not None:
        return value_names(frame[attribute.column], attribute.labels)
    columns = attribute.one_hot or ()
    flags = {name: membership(frame[name], attribute.labels) for name in columns}
    patterns = pd.MultiIndex.from_frame(pd.DataFrame(flags))
    codes, distinct = pd.factorize(patterns, use_na_sentinel=False)
    words = [_set_columns(pattern, columns, attribute.labels) for pattern in distinct]
    return np.array(words, dtype=object)[codes]


def value_names(column: pd.Series[Any], labels: Mapping[str, str] | None = None) -> Names:
    """Return a column's values as words: `1` for 1.0, `unknown` where there is none."""
    codes, values = pd.factorize(column)
    words = [value_word(value) for value in values]
    named = [(labels or {}).get(word, word) for word in words]
    return np.array([*named, UNKNOWN], dtype=object)[codes]  # a missing value has the code -1


def _set_columns(
    pattern: tuple[float, ...], names: Sequence[str], labels: Mapping[str, str]
) -> str:
    if any(math.isnan(value) for value in pattern):
        return UNKNOWN
    if min(pattern) < 0:
        raise DataRejected(f"a column of {', '.join(names)} {RULE}")
    chosen = [labels.get(name, name) for name, value in zip(names, pattern, strict=True) if value]
    return "+".join(chosen) or OTHER


def _audit(attribute: str, groups: Names, sample: Sample, min_rows: int) -> Fairness:
    rates = _rates(groups, sample)
    judged = rates[rates["rows"] >= min_rows]
    comparable = len(judged) >= 2
    return Fairness(
        attribute=attribute,
        groups=tuple(
            GroupRates(
                group=str(name),
                rows=int(row["rows"]),
                is_judged=bool(row["rows"] >= min_rows),
                selection_rate=_finite(row["selection_rate"]),
                true_positive_rate=_finite(row["true_positive_rate"]),
                false_positive_rate=_finite(row["false_positive_rate"]),
            )
            for name, row in rates.iterrows()
        ),
        disparate_impact=_impact(judged["selection_rate"]) if comparable else None,
        equalized_odds_difference=_odds_difference(judged) if comparable else None,
        label_disparate_impact=_impact(judged["label_rate"]) if comparable else None,
    )


def _rates(groups: Names, sample: Sample) -> pd.DataFrame:
    """Return fairlearn's table of rates per group; NaN where a group has no such label."""
    from fairlearn.metrics import (
        MetricFrame,
        count,
        false_positive_rate,
        selection_rate,
        true_positive_rate,
    )

    def label_rate(labels: Targets, _: Targets) -> float:
        return float(np.mean(labels))

    def rate_where(label: int, rate: Any) -> Any:
        """Make a rate of rows with a label NaN where there are none; fairlearn calls it 0."""
        return lambda labels, values: (
            rate(labels, values, pos_label=1) if (labels == label).any() else math.nan
        )

    frame = MetricFrame(
        metrics={
            "rows": count,
            "selection_rate": selection_rate,
            "true_positive_rate": rate_where(1, true_positive_rate),
            "false_positive_rate": rate_where(0, false_positive_rate),
            "label_rate": label_rate,
        },
        y_true=sample.labels,
        y_pred=sample.values,
        sensitive_features=pd.Series(groups, name="group"),
    )
    return cast("pd.DataFrame", frame.by_group).astype(float)


def _impact(rates: pd.Series[Any]) -> float | None:
    """Return the lowest rate divided by the highest, None where no group has any."""
    highest = float(rates.max())
    return float(rates.min()) / highest if highest > 0 else None


def _odds_difference(rates: pd.DataFrame) -> float | None:
    """Return the greater gap of true and of false positive rates, None where one is undefined."""
    odds = rates[["true_positive_rate", "false_positive_rate"]].to_numpy()
    return _finite((odds.max(axis=0) - odds.min(axis=0)).max())


def _finite(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None
