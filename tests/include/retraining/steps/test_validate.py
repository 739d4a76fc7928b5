from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.exceptions import ConfigError, DataChanged, DataRejected
from include.retraining.runs.job import Job, open_job
from include.retraining.runs.manifest import TriggeredBy
from include.retraining.steps import validate as validation
from include.retraining.steps.validate import earlier_rows, validate
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store
from tests.support import apples
from tests.support.apples import deliver, paths_of, plan

pytest_plugins = ("tests.support.apples_fixtures",)


def planned(store: Store, **changes: Any) -> Job:
    """A job of a freshly planned run."""
    return open_job(paths_of(plan(store, **changes)).uri(store.uri), "0-1")


def remember(store: Store, day: int, rows: int | None, outcome: Outcome = Outcome.PROMOTED) -> None:
    """Put the record of an earlier run into the store."""
    due = datetime(2026, 10, day, tzinfo=UTC)
    run_id = f"run-{day}"
    values: dict[str, Any] = dict.fromkeys(DecisionRecord.model_fields)
    values |= {
        "format": 1,
        "model": "apples",
        "dag_id": "retrain_apples",
        "run_id": run_id,
        "run": f"{due:%Y%m%dT%H%M%S}-{run_id}-00000000",
        "clear": 0,
        "outcome": outcome,
        "reason": "because",
        "decided_at": due,
        "run_after": due,
        "cause": TriggeredBy(run_type="scheduled"),
        "rows": rows,
        "compute": {},
        "after": (),
    }
    record = DecisionRecord(**values)
    store.write(RunPaths("apples", record.run).decision(0), record.to_bytes())


def test_a_good_delivery_is_counted(apples_store: Store):
    """The result says how many rows there are on each side, and what was checked."""
    deliver(apples_store)
    job = planned(apples_store)
    result = validate(job)
    assert result.rows == 200 == result.train_rows + result.holdout_rows
    assert 20 < result.holdout_rows < 80
    assert result.label_rate == pytest.approx(apples.harvest()["sold"].mean())
    assert result.fingerprint == job.manifest.fingerprint
    assert "weight: greater_than(0)" in result.checks
    assert "key twice" in result.refused_canaries


def test_parquet_is_validated_alike(apples_store: Store):
    """The format of a delivery does not matter."""
    deliver(apples_store, name="data.parquet")
    assert validate(planned(apples_store)).rows == 200


def test_bad_data_is_refused(apples_folder: Store):
    """A delivery that breaks its contract leaves no result."""
    deliver(apples_folder, apples.harvest(49))
    with pytest.raises(DataRejected, match="there are 49, at least 50 are needed"):
        validate(planned(apples_folder))


@pytest.mark.fault("A05")
def test_changed_data_is_refused(apples_folder: Store):
    """A delivery that changed after it was pinned is not looked at."""
    deliver(apples_folder)
    job = planned(apples_folder)
    deliver(apples_folder, apples.harvest(seed=2))
    with pytest.raises(DataChanged, match=r"data\.csv"):
        validate(job)


def test_a_delivery_far_from_earlier_ones_is_refused(apples_store: Store):
    """The median of earlier accepted deliveries is what is usual."""
    deliver(apples_store)
    for day, rows in enumerate((500, 510, 20), start=1):
        remember(apples_store, day, rows)
    with pytest.raises(DataRejected, match=r"0\.40 times the median of the last 3 deliveries"):
        validate(planned(apples_store))


def test_earlier_rows_are_those_of_accepted_deliveries(apples_folder: Store):
    """Refused deliveries, runs without data and the run itself do not say what is usual."""
    remember(apples_folder, 1, 100)
    remember(apples_folder, 2, 9000, Outcome.DATA_REJECTED)
    remember(apples_folder, 3, None, Outcome.NO_DATA)
    remember(apples_folder, 4, 110, Outcome.REJECTED)
    remember(apples_folder, 5, 120, Outcome.FAILED)
    remember(apples_folder, 6, 130)
    assert earlier_rows(apples_folder, "apples", but_not="run-6") == (120, 110, 100)


def test_ten_deliveries_say_what_is_usual(apples_folder: Store):
    """Only the newest count."""
    for day in range(1, 15):
        remember(apples_folder, day, day)
    rows = earlier_rows(apples_folder, "apples", but_not="")
    assert rows == (14, 13, 12, 11, 10, 9, 8, 7, 6, 5)


@pytest.mark.fault("B12")
def test_a_blind_validator_fails_the_run(apples_folder: Store, monkeypatch: pytest.MonkeyPatch):
    """When the contract would let a bad frame pass, a good delivery is no success (B12)."""
    deliver(apples_folder)
    monkeypatch.setattr(
        "include.retraining.data.contract_probes.find_violations", lambda *arguments: []
    )
    with pytest.raises(ConfigError, match="accepted a bad frame"):
        validate(planned(apples_folder))


@pytest.mark.fault("B06")
def test_a_key_on_both_sides_is_refused(apples_folder: Store, monkeypatch: pytest.MonkeyPatch):
    """Training and holdout are disjoint by construction, and that is checked (B06)."""
    deliver(apples_folder)
    monkeypatch.setattr(validation, "keys_on_both_sides", lambda keys, mask: 3)
    with pytest.raises(DataRejected, match="leak: 3 keys"):
        validate(planned(apples_folder))
