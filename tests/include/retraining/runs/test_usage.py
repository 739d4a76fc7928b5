"""What a record says of the jobs: where they ran, what they were given and what they used."""

from __future__ import annotations

from collections.abc import Callable

from include.retraining.decisions.record import Outcome
from include.retraining.decisions.records import decisions
from include.retraining.runs.claims import JobClaims, JobState
from include.retraining.runs.manifest import TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.runs.usage import compute_used
from include.retraining.steps.close_run import close_run
from include.retraining.steps.plan import last_peaks
from tests.support.toy_models import Toy

IMAGE = f"registry.example/train@sha256:{'a' * 64}"
BATCH = {
    "backend": "batch",
    "image": IMAGE,
    "python": "3.13",
    "queue": "train",
    "job_definition": "train:3",
    "cpu": 2,
    "memory": {"per_gib_of_data": 4, "min_gib": 2, "max_gib": 64},
}


def close(toy: Toy, number: int) -> RunRef:
    """Close the toy's n-th run as failed and return it."""
    job = toy.plan()
    toy.train(job)
    run = RunRef(
        model=toy.name,
        dag_id=job.manifest.dag_id,
        run_id=job.manifest.run_id,
        run_after=job.manifest.run_after,
        clear=0,
        cause=TriggeredBy(run_type="manual"),
    )
    assert job.manifest.run_id == f"manual__{number}"
    close_run(toy.store, run, Outcome.FAILED, "planted")
    return run


def test_a_plan_holds_what_each_step_may_use(make_toy: Callable[..., Toy]) -> None:
    """Expressions are resolved for the delivery, and the image that trains is pinned."""
    toy = make_toy(compute={"train_model": BATCH})
    manifest = toy.plan().manifest
    assert manifest.compute["train"]["memory"] == "2048MiB"
    assert manifest.compute["train"]["cpu"] == 2
    assert manifest.compute["validate"] == {
        "backend": "local",
        "cpu": None,
        "executor": None,
        "memory": None,
        "queue": "training",
        "timeout_seconds": 3600,
    }
    assert (manifest.code.image, manifest.code.python) == (IMAGE, "3.13")


def test_the_backend_does_not_name_the_version(make_toy: Callable[..., Toy]) -> None:
    """Another backend, image or size is the same version; another Python is another one."""
    toy = make_toy()
    local = toy.plan().manifest
    toy.changes["compute"] = {"train_model": {**BATCH, "python": local.code.python}}
    elsewhere = toy.plan().manifest
    assert elsewhere.fingerprint == local.fingerprint
    toy.changes["compute"] = {"train_model": {**BATCH, "python": "3.99"}}
    assert toy.plan().manifest.fingerprint != local.fingerprint


def test_local_jobs_say_what_they_used(make_toy: Callable[..., Toy]) -> None:
    """Seconds and peak memory come from the evidence, and a step without any has none."""
    toy = make_toy()
    job = toy.plan()
    toy.train(job)
    used = compute_used(toy.store, job.paths, job.manifest)
    assert {step: (one.backend, one.jobs) for step, one in used.items()} == {
        "validate": ("local", 0),
        "train": ("local", 0),
        "evaluate": ("local", 0),
    }
    assert used["train"].peak_memory_bytes > 10**7  # type: ignore[operator]
    assert used["train"].seconds is not None
    assert used["evaluate"].seconds is None


def test_jobs_elsewhere_are_counted(make_toy: Callable[..., Toy]) -> None:
    """A step says how many jobs were claimed for it, and what the last of them was given."""
    toy = make_toy(compute={"train_model": BATCH})
    job = toy.plan()
    attempts = JobClaims(toy.store, job.paths, job.manifest, settle_seconds=0)
    for memory in ("2048MiB", "4096MiB"):
        attempts.next_job(
            "train",
            ("train",),
            clear=0,
            compute={**job.manifest.compute["train"], "memory": memory},
            job_state=lambda claim: JobState.FAILED,
        )
    used = compute_used(toy.store, job.paths, job.manifest)["train"]
    assert (used.backend, used.jobs, used.memory, used.image) == ("batch", 2, "4096MiB", IMAGE)


def test_damaged_claims_do_not_keep_a_run_from_being_closed(make_toy: Callable[..., Toy]) -> None:
    """The record says what the plan says."""
    toy = make_toy(compute={"train_model": BATCH})
    job = toy.plan()
    toy.store.write(job.paths.job(1), b"{")
    assert compute_used(toy.store, job.paths, job.manifest)["train"].jobs == 0


def test_a_plan_says_what_the_last_run_used(make_toy: Callable[..., Toy]) -> None:
    """The newest record that got so far, step by step."""
    toy = make_toy()
    assert last_peaks(decisions(toy.store, toy.name)) == {}
    close(toy, 1)
    peaks = toy.plan().manifest.last_peak_memory_bytes
    assert set(peaks) == {"validate", "train"}
    assert peaks == last_peaks(decisions(toy.store, toy.name))


def test_a_version_that_is_judged_again_measures_no_training(make_toy: Callable[..., Toy]) -> None:
    """What an adopted version took is no hint for the memory of the next training."""
    toy = make_toy()
    close(toy, 1)
    trained = last_peaks(decisions(toy.store, toy.name))["train"]
    close(toy, 2)
    assert last_peaks(decisions(toy.store, toy.name))["train"] == trained
