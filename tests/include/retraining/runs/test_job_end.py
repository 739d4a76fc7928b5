"""How a job ended, and that it is to end, beside its claim."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.retraining.exceptions import EvidenceError
from include.retraining.runs.job_end import JobEnd, JobEnds
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


@pytest.fixture
def ends(store: Store) -> JobEnds:
    """The ends of a run's jobs, none yet."""
    return JobEnds(store, RunPaths("diabetes", "20261124T060000-run-00000000"))


def end(exit_code: int) -> JobEnd:
    """The end of job 1."""
    return JobEnd(number=1, how="exited", exit_code=exit_code, last_line="", at=datetime.now(UTC))


def test_the_first_end_stays(ends: JobEnds) -> None:
    """A job ends once, by whoever put that down first."""
    assert ends.find(1) is None
    ends.record(first := end(0))
    ends.record(end(1))
    assert ends.find(1) == first
    assert ends.find(2) is None


def test_the_first_reason_to_stop_stays(ends: JobEnds) -> None:
    """Who asks again changes nothing."""
    assert ends.requested_stop(1) is None
    ends.request_stop(1, "the run has ended in Airflow")
    ends.request_stop(1, "another reason")
    found = ends.requested_stop(1)
    assert found is not None
    assert found.reason == "the run has ended in Airflow"


def test_an_end_that_cannot_be_read_is_no_end(ends: JobEnds) -> None:
    """It is named by its key."""
    ends.store.write(ends.paths.job_ended(1), b"{}")
    with pytest.raises(EvidenceError, match=r"jobs/001\.ended\.json"):
        ends.find(1)
