"""Sample deliveries are landed as a producer does."""

from __future__ import annotations

import io
from collections.abc import Callable

import pandas as pd
import pytest

from include.local_airflow.demo.samples import SAMPLES, land, land_input_once, land_once
from include.retraining.store.object_store import Store


@pytest.mark.parametrize("model", SAMPLES)
def test_landing_again(any_store: Store, model: str) -> None:
    """A second landing has the same bytes under another flag."""
    file = f"landing/{model}/{SAMPLES[model][0]}"
    flag = land(any_store, model)
    first, first_flag = any_store.read(file), any_store.head(flag)
    assert land(any_store, model) == flag
    assert any_store.read(file) == first
    assert any_store.head(flag).etag != first_flag.etag


@pytest.mark.parametrize("land_it", [land_once, land_input_once])
def test_a_delivery_that_is_there_lands_once(
    any_store: Store, land_it: Callable[[Store, str], str]
) -> None:
    """Its files and its flag stay as they are, to the very object."""
    flag = land_it(any_store, "diabetes_progression")
    first = any_store.objects("landing")
    assert len(first) == 2
    assert land_it(any_store, "diabetes_progression") == flag
    assert any_store.objects("landing") == first


@pytest.mark.parametrize(
    ("model", "key", "label", "rows"),
    [
        ("loan_approval", "application_id", "approve", 1989),
        ("diabetes_progression", "patient_id", "progression", 442),
    ],
)
def test_content(model: str, key: str, label: str, rows: int) -> None:
    """Each sample has its key, its label and all its rows."""
    frame = pd.read_csv(io.BytesIO(SAMPLES[model][1]()))
    assert len(frame) == rows
    assert frame[key].tolist() == list(range(rows))
    assert frame[label].notna().all()


def test_nothing_else_lands(folder_store: Store) -> None:
    """Only the data and the flag are there afterwards."""
    land(folder_store, "loan_approval")
    keys = [info.key for info in folder_store.objects()]
    assert keys == ["landing/loan_approval/applications.csv", "landing/loan_approval/ready.flag"]
