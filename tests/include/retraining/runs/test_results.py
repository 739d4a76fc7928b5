from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from include.retraining.documents import sha256_of
from include.retraining.exceptions import EvidenceError
from include.retraining.runs.job import Job, open_job
from include.retraining.runs.results import (
    Cost,
    EvaluateResult,
    StoredObject,
    TrainResult,
    ValidateResult,
    find_result,
    read_result,
    write_result,
)
from include.retraining.store.object_store import Store
from tests.support.apples import deliver, paths_of, plan

pytest_plugins = ("tests.support.apples_fixtures",)


@pytest.fixture
def job(apples_store: Store) -> Job:
    """A job of a planned run."""
    deliver(apples_store)
    return open_job(paths_of(plan(apples_store)).uri(apples_store.uri), "0-1")


def common(job: Job) -> dict[str, Any]:
    """What every result says."""
    return {
        "run_id": job.manifest.run_id,
        "fingerprint": job.manifest.fingerprint,
        "finished_at": datetime.now(UTC),
        "cost": Cost(seconds=1.0, peak_memory_bytes=1),
    }


def validated(job: Job, **changes: Any) -> ValidateResult:
    """A result of the step `validate`."""
    values = {
        "rows": 3,
        "train_rows": 2,
        "holdout_rows": 1,
        "label_rate": None,
        "checks": ("a",),
        "refused_canaries": ("b",),
    }
    return ValidateResult(**{**common(job), **values, **changes})


def output(job: Job, key: str, data: bytes = b"content") -> StoredObject:
    """An object in the store, named with its digest."""
    job.store.write(key, data)
    return StoredObject(key=key, size=len(data), sha256=sha256_of(data))


def trained(job: Job, **changes: Any) -> TrainResult:
    """A result of the step `train`."""
    values = {
        "version": job.manifest.version,
        "adopted": False,
        "manifest": output(job, "models/apples/versions/v/manifest.json"),
    }
    return TrainResult(**{**common(job), **values, **changes})


def evaluated(job: Job, **changes: Any) -> EvaluateResult:
    """A result of the step `evaluate`."""
    values = {
        "version": job.manifest.version,
        "report": output(job, job.paths.evaluation),
        "predictions": output(job, job.paths.predictions),
    }
    return EvaluateResult(**{**common(job), **values, **changes})


def read(job: Job, step: Any):
    """Read a step's result back."""
    return read_result(job.store, job.paths, job.manifest, step)


@pytest.mark.parametrize("make", [validated, trained, evaluated])
def test_a_result_is_read_back_as_it_was_written(job: Job, make: Any):
    """Evidence survives the store, on a folder and on S3."""
    result = make(job)
    assert write_result(job.store, job.paths, job.manifest, result) == result
    assert read(job, result.step) == result


@pytest.mark.parametrize("step", ["validate", "train", "evaluate"])
def test_a_step_without_a_result_did_not_finish(job: Job, step: Any):
    """Whatever its task says, without a result a step is not done."""
    assert find_result(job.store, job.paths, job.manifest, step) is None
    with pytest.raises(EvidenceError, match=f"the step '{step}' left no result"):
        read(job, step)


def test_a_second_attempt_adopts_the_result_of_the_first(job: Job):
    """The first result stays, and the second attempt gets it."""
    first = write_result(job.store, job.paths, job.manifest, validated(job))
    assert write_result(job.store, job.paths, job.manifest, validated(job, rows=99)) == first
    assert read(job, "validate") == first


@pytest.mark.parametrize("make", [validated, trained, evaluated])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run_id": "another"}, "is of the run another, not of manual__1"),
        ({"fingerprint": "f" * 64}, "is of other data, code or configuration"),
    ],
)
def test_a_result_of_another_run_is_no_evidence(
    job: Job, make: Any, changes: dict[str, str], message: str
):
    """A result that was copied from another run or another plan is refused."""
    result = make(job, **changes)
    job.store.write(job.paths.result(result.step), result.to_bytes())
    with pytest.raises(EvidenceError, match=message):
        read(job, result.step)


@pytest.mark.parametrize("make", [trained, evaluated])
def test_a_result_of_another_version_is_no_evidence(job: Job, make: Any):
    """The version is the one that the run's fingerprint names."""
    with pytest.raises(EvidenceError, match="names the version 0000000000000000, not"):
        write_result(job.store, job.paths, job.manifest, make(job, version="0" * 16))


@pytest.mark.fault("C06")
@pytest.mark.parametrize("damage", [b"altered", b"another size", None])
@pytest.mark.parametrize(
    ("make", "field"),
    [(trained, "manifest"), (evaluated, "report"), (evaluated, "predictions")],
)
def test_a_result_that_names_an_altered_object_is_no_evidence(
    job: Job, make: Any, field: str, damage: bytes | None
):
    """What a result names must be there, unaltered (C06)."""
    result = make(job)
    write_result(job.store, job.paths, job.manifest, result)
    key = getattr(result, field).key
    if damage is None:
        job.store.delete(key)
    else:
        job.store.write(key, damage)
    message = "which is missing" if damage is None else "which was altered"
    with pytest.raises(EvidenceError, match=message):
        read(job, result.step)
    with pytest.raises(EvidenceError, match=message):
        write_result(
            job.store,
            job.paths,
            job.manifest,
            result.model_copy(update={"finished_at": datetime.now(UTC)}),
        )


def test_a_result_that_does_not_verify_gives_way(job: Job):
    """An overlapping attempt that overwrote an output leaves the run with its own evidence."""
    write_result(job.store, job.paths, job.manifest, evaluated(job))
    output(job, job.paths.predictions, b"of the second attempt")
    second = evaluated(job).model_copy(
        update={"predictions": output(job, job.paths.predictions, b"of the second attempt")}
    )
    assert write_result(job.store, job.paths, job.manifest, second) == second
    assert read(job, "evaluate") == second


def test_a_truncated_result_is_no_evidence(job: Job):
    """A result that cannot be parsed is never taken for one."""
    data = validated(job).to_bytes()
    for length in (0, 1, len(data) // 2, len(data) - 3):
        job.store.write(job.paths.result("validate"), data[:length])
        with pytest.raises(EvidenceError, match=r"validate\.json: "):
            read(job, "validate")


@pytest.mark.fault("B12")
@pytest.mark.parametrize("field", ["checks", "refused_canaries"])
def test_a_validation_that_checked_nothing_is_no_result(job: Job, field: str):
    """Zero checks, or no canary, is not a yes (B12)."""
    with pytest.raises(ValidationError, match=field):
        validated(job, **{field: ()})
