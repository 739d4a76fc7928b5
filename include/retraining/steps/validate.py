"""The step `validate`: does the delivery keep its contract, and does it split?"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pandas as pd

from include.retraining.config.model import ModelConfig
from include.retraining.config.model_code import load_model_code
from include.retraining.data.contract import check_contract, expectations
from include.retraining.data.contract_probes import check_contract_refuses
from include.retraining.data.dataset import read_dataset
from include.retraining.data.labels import is_class
from include.retraining.data.reading import reading_of
from include.retraining.data.split import holdout_mask, keys_on_both_sides, training_mask
from include.retraining.data.time_windows import earlier_windows
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.records import decisions
from include.retraining.exceptions import DataRejected
from include.retraining.runs.job import Job, cost
from include.retraining.runs.results import ValidateResult
from include.retraining.store.object_store import Store

EARLIER_DELIVERIES = 10
MAX_RECORDS_SEARCHED = 100


def validate(job: Job) -> ValidateResult:
    """Check a run's delivery.

    Raises:
        DataChanged: when a file is not the one that was pinned.
        DataRejected: when the delivery breaks its contract, with every violation.
        ConfigError: when the contract cannot be applied, or accepts a bad frame.
        StorageError: when the store refuses or does not answer.
    """
    code = load_model_code(job.config)
    frame = read_dataset(job.store, job.manifest.delivery, reading_of(job.config, code))
    date = job.manifest.params.date
    earlier = earlier_rows(job.store, job.config.name, but_not=job.manifest.run_id)
    checks = check_contract(frame, job.config, code, run_date=date, earlier_rows=earlier)
    expected = expectations(job.config, code, run_date=date, earlier_rows=earlier)
    canaries = check_contract_refuses(frame, expected)
    mask = holdout_mask(frame, job.config)
    training = training_mask(frame, ~mask, job.config)
    earlier_windows(frame, ~mask, job.config)  # refused here if a period has no rows
    leaked = keys_on_both_sides(frame[job.config.data.key], mask)
    if leaked:
        raise DataRejected(f"leak: {leaked:,} keys are in the training part and in the holdout")
    return ValidateResult(
        run_id=job.manifest.run_id,
        fingerprint=job.manifest.fingerprint,
        finished_at=datetime.now(UTC),
        cost=cost(job),
        rows=len(frame),
        train_rows=int(training.sum()),
        holdout_rows=int(mask.sum()),
        label_rate=_label_rate(frame[job.config.data.label], job.config),
        checks=checks,
        refused_canaries=canaries,
    )


def earlier_rows(store: Store, model: str, *, but_not: str) -> tuple[int, ...]:
    """Return the rows of the last accepted deliveries, newest first.

    Args:
        store: of the model.
        model: its name.
        but_not: the run whose own earlier records do not count.
    """
    recent = decisions(store, model, limit=MAX_RECORDS_SEARCHED)
    accepted = (record.rows for record in recent if _is_accepted(record, but_not))
    return tuple(islice((rows for rows in accepted if rows is not None), EARLIER_DELIVERIES))


def _is_accepted(record: DecisionRecord, but_not: str) -> bool:
    return record.outcome is not Outcome.DATA_REJECTED and record.run_id != but_not


def _label_rate(label: pd.Series[Any], config: ModelConfig) -> float | None:
    if config.problem != "binary":
        return None
    return float(is_class(label.to_numpy(), config.data.positive).mean())
