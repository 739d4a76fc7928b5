"""The job `score`, as a backend starts it, and what is known of it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include.retraining.__main__ import main
from include.retraining.exceptions import EvidenceError, NotFound
from include.retraining.runs.results import read_failure
from include.retraining.scoring.any_run import find_any_result, read_any_plan, require_any_result
from include.retraining.scoring.record import (
    ScoreOutcome,
    find_record,
    newest_records,
    write_record,
)
from include.retraining.scoring.state import scoring_state
from include.retraining.store.layout import RunPaths
from tests.support.scored_toys import day, make_scoring_toy, rows_to_score
from tests.support.toy_models import Toy

MakeToy = Callable[..., Toy]


def run_job(job: Any) -> int:
    """Start the job as the worker does, in this process."""
    uri = job.paths.uri(job.store.uri)
    return main(["score", "--run", uri, "--attempt", job.attempt])


def test_the_job_leaves_its_result_and_is_not_done_twice(
    make_toy: MakeToy, capfd: pytest.CaptureFixture[str]
):
    """`score --run URI` scores what its plan says, and a second start finds that done."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    job = toy.plan()
    assert job is not None
    assert run_job(job) == 0
    assert len(toy.table(0)) == 60
    assert run_job(job) == 0
    assert "score: already done and verified" in capfd.readouterr().out


@pytest.mark.fault("S02")
def test_a_job_without_a_result_is_not_taken_for_done(make_toy: MakeToy):
    """A scoring that left no result is refused, whatever its exit code was."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    job = toy.plan()
    assert job is not None
    plan = read_any_plan(job.store, job.paths)
    assert find_any_result(job.store, job.paths, plan, "score") is None
    with pytest.raises(EvidenceError, match="left no result"):
        require_any_result(job.store, job.paths, plan, "score")


def test_a_failed_job_records_why(make_toy: MakeToy, capfd: pytest.CaptureFixture[str]):
    """The failure of a scoring job is in the store and in its last line."""
    toy = make_scoring_toy(make_toy)
    version = toy.promote(1)
    toy.land(0, rows_to_score())
    job = toy.plan()
    assert job is not None
    for info in toy.store.objects(f"models/{toy.toy.name}/versions/{version}"):
        if info.key.endswith(".skops"):
            toy.store.write(info.key, b"damaged")
    assert run_job(job) == 1
    failure = read_failure(job.store, job.paths, "score", job.attempt)
    assert failure is not None
    assert failure.kind == "artifact"
    assert "score failed (artifact)" in capfd.readouterr().err


def test_the_job_takes_no_address_of_a_retraining(
    make_toy: MakeToy, capfd: pytest.CaptureFixture[str]
):
    """`score` refuses the plan of a retraining, and a run that was never planned."""
    toy = make_scoring_toy(make_toy)
    uri = f"{toy.store.uri}/models/{toy.toy.name}"
    assert main(["score", "--run", f"{uri}/runs/some_run"]) == 1
    assert "is a retraining" in capfd.readouterr().err
    assert main(["score", "--run", f"{uri}/scoring/some_run"]) == 1
    assert "never planned" in capfd.readouterr().err
    with pytest.raises(NotFound):
        read_any_plan(toy.store, RunPaths(toy.toy.name, "some_run", "scoring"))


def test_a_run_that_is_planned_again_adopts_its_plan_or_gets_another(make_toy: MakeToy):
    """A retry finds the plan that it has; other input makes a plan in a folder of its own."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    job = toy.plan()
    toy.runs -= 1
    again = toy.plan()
    toy.runs -= 1
    toy.land(0, rows_to_score(rows=30))
    other = toy.plan()
    assert job is not None
    assert again is not None
    assert other is not None
    assert again.manifest == job.manifest
    assert other.paths == job.paths.next_plan()


def test_the_state_says_what_was_scored_last(make_toy: MakeToy):
    """The newest partition is known with its version and rows, and why the newest run failed."""
    toy = make_scoring_toy(make_toy)
    assert scoring_state(toy.store, toy.toy.name) is None
    version = toy.promote(1)
    toy.land(1, rows_to_score(1))
    toy.land(0, rows_to_score(2, rows=30))
    toy.run()
    state = scoring_state(toy.store, toy.toy.name)
    assert state is not None
    newest = state.newest
    assert newest is not None
    assert (newest.name, newest.version, newest.generation) == (str(day(0)), version, 1)
    assert (newest.rows, state.failed_because, state.unknown_rows) == (30, None, 0)
    toy.runs += 1
    write_record(toy.store, toy.run_ref(), ScoreOutcome.FAILED, "the disk was full")
    state = scoring_state(toy.store, toy.toy.name)
    assert state is not None
    assert (state.newest, state.failed_because) == (newest, "the disk was full")


def test_a_run_has_one_record(make_toy: MakeToy):
    """What was recorded first stays, and the records come newest first."""
    toy = make_scoring_toy(make_toy)
    toy.runs = 1
    first = write_record(toy.store, toy.run_ref(), ScoreOutcome.FAILED, "first")
    assert write_record(toy.store, toy.run_ref(), ScoreOutcome.FAILED, "second") == first
    assert find_record(toy.store, toy.run_ref()) == first
    toy.runs = 2
    second = write_record(toy.store, toy.run_ref(), ScoreOutcome.FAILED, "third")
    assert newest_records(toy.store, toy.toy.name, 5) == [second, first]
