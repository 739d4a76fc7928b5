from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from include.retraining.data import dataset
from include.retraining.data.dataset import open_dataset, read_dataset
from include.retraining.data.delivery import pin_delivery
from include.retraining.store.object_store import Store
from tests.include.retraining.data.test_dataset import APPLES, DAY
from tests.support import apples


@pytest.mark.parametrize("name", ["data.csv", "data.parquet"])
def test_columns_that_are_read_a_few_at_a_time_are_the_same(
    any_store: Store, monkeypatch: pytest.MonkeyPatch, name: str
):
    """Neither a cell nor a type nor the order depends on how many are read at once."""
    apples.deliver(any_store, apples.harvest(30), name=name)
    delivery = pin_delivery(any_store, apples.config(), DAY)
    whole = read_dataset(any_store, delivery, APPLES)
    monkeypatch.setattr(dataset, "GROUP_CELLS", 60)
    pd.testing.assert_frame_equal(read_dataset(any_store, delivery, APPLES), whole)
    with open_dataset(any_store, delivery, APPLES) as opened:
        assert opened.rows == 30
        again = opened.frame(["weight"])
        columns = {str(column.name): column for column in opened.columns(opened.names)}
    pd.testing.assert_frame_equal(pd.DataFrame(columns), whole)
    pd.testing.assert_series_equal(again["weight"], whole["weight"])


def test_columns_of_a_group_are_read_together(folder_store: Store, monkeypatch: pytest.MonkeyPatch):
    """Many rows: two columns at a time; few rows: all of them, as each reading costs some time."""
    apples.deliver(folder_store, apples.harvest(30), name="data.parquet")
    delivery = pin_delivery(folder_store, apples.config(), DAY)
    read, groups = dataset.read_columns, []

    def spy(parquet, columns, name):
        groups.append(len(columns))
        return read(parquet, columns, name)

    monkeypatch.setattr(dataset, "read_columns", spy)
    count = len(read_dataset(folder_store, delivery, APPLES).columns)
    assert groups == [count]
    groups.clear()
    monkeypatch.setattr(dataset, "GROUP_CELLS", 60)
    read_dataset(folder_store, delivery, APPLES)
    assert sum(groups) == count
    assert np.max(groups) == 2
