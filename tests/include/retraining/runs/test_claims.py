"""Claims: at most one job at a time, whatever is lost between us and a platform."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.retraining.config.step_names import JobStep
from include.retraining.exceptions import EvidenceError, StepFailed
from include.retraining.runs.claims import JobClaim, JobClaims, JobState, job_identity
from include.retraining.runs.job import Job
from include.retraining.runs.results import StepFailure
from include.retraining.steps.runner import run_steps
from include.retraining.store.object_store import Store
from tests.support.toy_models import Toy

COMPUTE = {"backend": "batch", "cpu": 2.0, "memory": "4096MiB"}


@pytest.fixture
def job(make_toy: Callable[..., Toy]) -> Job:
    """A planned and validated run."""
    return make_toy().plan()


@pytest.fixture
def attempts(job: Job) -> JobClaims:
    """Its claims; a claim is settled at once."""
    return JobClaims(job.store, job.paths, job.manifest, settle_seconds=0)


def next_job(
    attempts: JobClaims,
    state: JobState = JobState.ACTIVE,
    *,
    step: JobStep = "train",
    steps: tuple[JobStep, ...] | None = None,
    clear: int = 0,
) -> tuple[JobClaim, bool]:
    """Ask for the job to wait for, on a platform where every job is in one state."""
    return attempts.next_job(
        step, steps or (step,), clear=clear, compute=COMPUTE, job_state=lambda claim: state
    )


def fail(job: Job, claim: JobClaim, *, is_permanent: bool, step: JobStep = "train") -> None:
    """Leave a job's last word."""
    failure = StepFailure(
        run_id=job.manifest.run_id,
        step=step,
        attempt=claim.attempt_id,
        kind="training",
        is_permanent=is_permanent,
        message="the model said no",
    )
    job.store.write(job.paths.failure(step), failure.to_bytes())


def test_the_first_job_is_new(attempts: JobClaims, job: Job) -> None:
    """It is claimed in the store before anything is submitted, by number and name."""
    claim, is_new = next_job(attempts)
    assert (claim.number, claim.attempt_id, is_new) == (1, "job-001", True)
    assert claim.compute == COMPUTE
    assert job.manifest.fingerprint[:8] in claim.name
    assert claim.name.endswith("-1")
    assert attempts.claims() == [claim]


def test_a_name_fits_every_platform(attempts: JobClaims) -> None:
    """63 characters, letters, digits and hyphens: a pod's name is the strictest."""
    claim, _ = next_job(attempts)
    assert len(claim.name) <= 63
    assert claim.name.replace("-", "").isalnum()
    assert claim.name == claim.name.lower()


def test_a_running_job_is_adopted(attempts: JobClaims) -> None:
    """A retry, a cleared task and a second worker wait for the one job that there is."""
    first, _ = next_job(attempts)
    assert next_job(attempts, JobState.ACTIVE) == (first, False)
    assert next_job(attempts, JobState.ACTIVE, clear=1) == (first, False)


def test_a_job_that_succeeded_is_looked_at_once(attempts: JobClaims) -> None:
    """If its evidence was missing, the next try starts another job."""
    first, _ = next_job(attempts)
    assert next_job(attempts, JobState.SUCCEEDED) == (first, False)
    second, is_new = next_job(attempts, JobState.SUCCEEDED)
    assert (second.number, is_new) == (2, True)


def test_a_failure_for_good_is_said_once(attempts: JobClaims, job: Job) -> None:
    """Who finds it fails with its reason; who comes after a person cleared the task tries anew."""
    claim, _ = next_job(attempts)
    fail(job, claim, is_permanent=True)
    with pytest.raises(StepFailed, match=r"^train: the model said no$") as failed:
        next_job(attempts, JobState.FAILED)
    assert failed.value.is_permanent
    assert next_job(attempts, JobState.FAILED)[0].number == 2


def test_a_failure_that_may_pass_is_followed_by_the_next_job(attempts: JobClaims, job: Job) -> None:
    """No try of the task is wasted on saying so."""
    claim, _ = next_job(attempts)
    fail(job, claim, is_permanent=False)
    assert next_job(attempts, JobState.FAILED) == (attempts.claims()[1], True)


def test_a_failed_job_without_a_word_is_followed_by_the_next(attempts: JobClaims) -> None:
    """A killed container says nothing."""
    next_job(attempts)
    assert next_job(attempts, JobState.FAILED)[0].number == 2


def test_anothers_word_is_not_this_jobs(attempts: JobClaims, job: Job) -> None:
    """What an earlier job left does not fail a later one for good."""
    first, _ = next_job(attempts)
    fail(job, first, is_permanent=True)
    attempts.report_once(first, "train")
    next_job(attempts, JobState.FAILED)
    assert next_job(attempts, JobState.FAILED)[0].number == 3


def test_a_job_nobody_knows_is_void(attempts: JobClaims) -> None:
    """A crash before the submission: the claim is void, so that a late submission does nothing."""
    first, _ = next_job(attempts)
    second, is_new = next_job(attempts, JobState.GONE)
    assert (second.number, is_new) == (2, True)
    start = attempts.started(first)
    assert start is not None
    assert start.job is None


def test_a_job_that_starts_while_it_is_looked_for_is_adopted(attempts: JobClaims, job: Job) -> None:
    """Nobody listed it, then it put down that it started: it is not replaced by a second one."""
    first, _ = next_job(attempts)
    looks = []

    def job_state(claim: JobClaim) -> JobState:
        looks.append(claim)
        if len(looks) == 1:
            assert run(job, 1) == 0  # the late job begins right after it was not listed
            return JobState.GONE
        return JobState.ACTIVE

    found = attempts.next_job("train", ("train",), clear=0, compute=COMPUTE, job_state=job_state)
    assert found == (first, False)


def test_a_job_nobody_knows_is_void_though_it_left_a_word(attempts: JobClaims, job: Job) -> None:
    """Whatever was believed of it, it may not start beside the next one."""
    first, _ = next_job(attempts)
    fail(job, first, is_permanent=False)
    assert next_job(attempts, JobState.GONE)[0].number == 2
    assert run(job, 1) == 1


def test_a_void_claim_is_never_adopted(attempts: JobClaims) -> None:
    """A late job of it may be listed as running: it does nothing, so nobody waits for it."""
    first, _ = next_job(attempts)
    attempts.void(first)
    assert next_job(attempts, JobState.ACTIVE)[0].number == 2


def test_a_young_claim_is_waited_for(job: Job) -> None:
    """A job that is listed late is adopted, not replaced."""
    attempts = JobClaims(job.store, job.paths, job.manifest)
    first, _ = next_job(attempts)
    states = iter([JobState.GONE, JobState.ACTIVE])
    found = attempts.next_job(
        "train", ("train",), clear=0, compute=COMPUTE, job_state=lambda claim: next(states)
    )
    assert found == (first, False)
    assert attempts.started(first) is None


def test_an_old_claim_is_not_waited_for(job: Job) -> None:
    """After a while a job that nobody lists was never submitted."""
    attempts = JobClaims(job.store, job.paths, job.manifest)
    first, _ = next_job(attempts)
    old = first.model_copy(update={"claimed_at": datetime.now(UTC) - timedelta(minutes=1)})
    job.store.write(job.paths.job(1), old.to_bytes())
    assert next_job(attempts, JobState.GONE)[0].number == 2


def test_the_word_of_a_forgotten_job_counts(attempts: JobClaims, job: Job) -> None:
    """A platform forgets a job after a day; what it left in the store still is the reason."""
    claim, _ = next_job(attempts)
    fail(job, claim, is_permanent=True)
    with pytest.raises(StepFailed):
        next_job(attempts, JobState.GONE)


def test_one_job_for_several_steps_is_everyones(attempts: JobClaims) -> None:
    """The tasks of later steps adopt the job that the first one started."""
    shared, _ = next_job(attempts, step="validate", steps=("validate", "train", "evaluate"))
    assert next_job(attempts, step="train") == (shared, False)
    assert attempts.newest("evaluate") == shared
    assert attempts.newest("card") is None


def test_a_shared_failure_is_said_by_each_task_that_comes_to_it(
    attempts: JobClaims, job: Job
) -> None:
    """Training fails in a job that the validation's task started: the training's task says so."""
    shared, _ = next_job(attempts, step="validate", steps=("validate", "train"))
    fail(job, shared, is_permanent=True)
    with pytest.raises(StepFailed, match="train: the model said no"):
        next_job(attempts, JobState.FAILED, step="train")


def test_a_card_is_made_anew_for_each_clear(attempts: JobClaims) -> None:
    """A card shows its own clear's verdict: an older job is not it."""
    first, _ = next_job(attempts, step="card")
    assert next_job(attempts, JobState.ACTIVE, step="card") == (first, False)
    assert next_job(attempts, JobState.ACTIVE, step="card", clear=1)[0].number == 2


def test_of_many_one_claims(attempts: JobClaims) -> None:
    """Eight workers at once: one submits, seven adopt."""
    found: list[tuple[JobClaim, bool]] = []
    gate = threading.Barrier(8)

    def work() -> None:
        gate.wait()
        found.append(next_job(attempts))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [is_new for _, is_new in found].count(True) == 1
    assert {claim.number for claim, _ in found} == {1}


def run(job: Job, claim: int, step: JobStep = "train") -> int:
    """Run a step as a claimed job."""
    return run_steps([step], job.paths.uri(job.store.uri), f"job-{claim:03d}", claim)


def test_a_claimed_job_says_that_it_started(attempts: JobClaims, job: Job) -> None:
    """It puts down who it is before it does anything, and may be started again by its platform."""
    claim, _ = next_job(attempts)
    assert run(job, 1) == 0
    start = attempts.started(claim)
    assert start is not None
    assert start.job == job_identity()
    assert run(job, 1) == 0


def test_a_job_whose_claim_is_void_does_nothing(
    attempts: JobClaims, job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    """It came too late: it trains nothing and says nothing that could be taken for another's."""
    claim, _ = next_job(attempts)
    assert attempts.void(claim) is None
    assert run(job, 1) == 1
    assert "came too late: its claim is void" in capsys.readouterr().err
    assert not job.store.exists(job.paths.result("train"))
    assert attempts.failure(claim) is None


def test_a_job_that_started_cannot_be_voided(attempts: JobClaims, job: Job) -> None:
    """Who was first has the claim: the operator learns who runs it."""
    claim, _ = next_job(attempts)
    assert run(job, 1) == 0
    start = attempts.void(claim)
    assert start is not None
    assert start.job == job_identity()


def test_a_second_job_under_one_claim_does_nothing(
    attempts: JobClaims,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A submission that was believed lost and came through after all."""
    next_job(attempts)
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "first")
    assert run(job, 1) == 0
    job.store.delete(job.paths.result("train"))
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "second")
    assert run(job, 1) == 1
    assert "first runs under this claim already; nothing done" in capsys.readouterr().err
    assert not job.store.exists(job.paths.result("train"))


@pytest.mark.parametrize("claim", [7, 1], ids=["no such claim", "of another step"])
def test_a_job_without_a_claim_does_nothing(
    attempts: JobClaims, job: Job, claim: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A made-up number, and a step that the claim does not name."""
    next_job(attempts, step="evaluate")
    assert run(job, claim) == 1
    assert "claims no job for 'train'" in capsys.readouterr().err


def test_a_platforms_own_try_writes_to_a_folder_of_its_own(
    attempts: JobClaims, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch starts a job again whose host was lost; what the first try left is not mixed in."""
    next_job(attempts)
    job.store.write(f"models/{job.manifest.model}/versions/{job.manifest.version}/job-001/x", b"x")
    monkeypatch.setenv("AWS_BATCH_JOB_ATTEMPT", "2")
    assert run(job, 1) == 0
    folder = f"models/{job.manifest.model}/versions/{job.manifest.version}"
    assert job.store.exists(f"{folder}/job-001-2/model.skops")


def test_several_steps_run_in_order_and_stop_at_the_first_that_fails(
    make_toy: Callable[..., Toy], capsys: pytest.CaptureFixture[str]
) -> None:
    """One process, one result per step with its own time and memory; a failure ends the job."""
    toy = make_toy()
    job = toy.plan()
    uri = job.paths.uri(job.store.uri)
    assert run_steps(["validate", "train", "evaluate"], uri, "job-001") == 0
    assert "validate: already done and verified" in capsys.readouterr().out
    assert job.store.exists(job.paths.result("evaluate"))
    job.store.delete(job.paths.result("validate"))
    job.store.delete(job.paths.result("evaluate"))
    job.store.delete("landing/toy/data.parquet")
    assert run_steps(["validate", "train", "evaluate"], uri, "job-002") == 1
    assert not job.store.exists(job.paths.result("evaluate"))


def test_damaged_claims_are_no_claims(attempts: JobClaims, job: Job) -> None:
    """They are an error that names the object, never taken for "nothing was submitted"."""
    next_job(attempts)
    job.store.write(job.paths.job(1), b"{")
    with pytest.raises(EvidenceError, match=r"jobs/001\.json"):
        next_job(attempts)


def test_who_this_is_survives_a_restart_of_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Batch the job's id, elsewhere the host's name with the process."""
    monkeypatch.delenv("AWS_BATCH_JOB_ID", raising=False)
    monkeypatch.setenv("HOSTNAME", "pod-1")
    assert job_identity() == f"pod-1:{os.getpid()}"
    monkeypatch.setenv("AWS_BATCH_JOB_ID", "b-1")
    assert job_identity() == "b-1"


def test_claims_lie_on_any_store(any_store: Store, make_toy: Callable[..., Toy]) -> None:
    """Put-if-absent decides on a folder and on S3."""
    job = make_toy(store=any_store).plan()
    attempts: Any = JobClaims(job.store, job.paths, job.manifest, settle_seconds=0)
    claim, _ = next_job(attempts)
    assert next_job(attempts) == (claim, False)
    assert attempts.void(claim) is None
    assert attempts.void(claim) is None
