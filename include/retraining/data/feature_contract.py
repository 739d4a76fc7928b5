"""The part of a contract that some columns of a delivery must keep, as rows without a label do.

The rules are those of a delivery (`contract.py`), for some of its columns: presence, type, missing
and infinite values, and the checks of single columns. Rules over several columns are left out, as
they may read the label, and so are all that compare a delivery with others.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import date

import pandas as pd

from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import ModelCode
from include.retraining.data.contract import expectations, find_violations
from include.retraining.data.declared_columns import declared_columns
from include.retraining.data.refusal import refused
from include.retraining.data.violations import Expectations


class _SomeColumns(Expectations):
    """What rows are checked against of which only some columns are there."""

    @property
    def used(self) -> tuple[str, ...]:
        """The key and the columns that were asked for."""
        return tuple(dict.fromkeys((self.config.data.key, *self.features)))


def check_features(
    frame: pd.DataFrame,
    config: ModelConfig,
    code: ModelCode,
    *,
    key: str,
    features: Sequence[str],
    run_date: date,
) -> None:
    """Check rows to predict against what the contract says of their columns.

    Args:
        frame: key, features and what else was read, with an index that counts from 0.
        config: the model's.
        code: the model's.
        key: the column that names the rows.
        features: the columns that the version reads; it may be an earlier one. Or the label alone,
            where labels arrive by themselves.
        run_date: the date of the data.

    Raises:
        DataRejected: naming each column and rule that is broken, and the keys of some rows.
        ConfigError: when the contract itself cannot be applied.
    """
    whole = expectations(config, code, run_date=run_date, earlier_rows=())
    wanted = dict.fromkeys((key, *features, *frame.columns))
    schema = copy.copy(whole.schema)
    schema.columns = {
        name: column
        for name, column in declared_columns(whole.schema, wanted).items()
        if name in wanted
    }
    schema.checks, schema.strict, schema.ordered, schema.unique = [], False, False, None
    data = config.data.model_copy(
        # Without a label, as some rows say nothing about the classes of a whole delivery.
        update={"key": key, "label": "", "min_rows": 1, "volume": None, "freshness": None}
    )
    narrowed = config.model_copy(update={"data": data})
    expected = _SomeColumns(narrowed, schema, tuple(features), run_date, ())
    violations = find_violations(frame, expected)
    if violations:
        raise refused([str(violation) for violation in violations])
