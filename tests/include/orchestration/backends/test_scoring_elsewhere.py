"""A scoring run whose job runs elsewhere: claimed, adopted, checked and ended like any step."""

from __future__ import annotations

from typing import Any

import pytest

from include.local_airflow.demo import samples
from include.orchestration.backends.batch.operator import BatchJobOperator
from include.orchestration.backends.job_task import score_task
from include.orchestration.backends.remote_step import RemoteStep, job_command, open_step
from include.orchestration.operators import score_tasks
from include.orchestration.watch.ended_runs import EndedRun, stop_lost_jobs
from include.retraining.__main__ import main
from include.retraining.config.batch_compute import BatchCompute
from include.retraining.config.model import load_model
from include.retraining.exceptions import EvidenceError
from include.retraining.runs.claims import JobClaim, JobState
from include.retraining.runs.journal import find_known_run, open_runs
from include.retraining.store.layout import OPEN_JOBS, OPEN_SCORING_JOBS
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.promoted_samples import promote_sample
from tests.support.run_callbacks import run_in

MODEL = "diabetes_progression"
COMPUTE = BatchCompute(
    backend="batch",
    image=f"registry/training@sha256:{'0' * 64}",
    queue="training",
    job_definition="training:1",
    cpu=1,
    memory="1GiB",
)


@pytest.fixture
def planned(store: Store, context: MakeContext) -> dict[str, Any]:
    """The context of a scoring run that is planned."""
    promote_sample(store, MODEL)
    samples.land_input(store, MODEL)
    config = load_model(MODEL)
    now = {
        **context(dag_id=f"score_{MODEL}", task_id="score_input"),
        "params": {"date": None, "rescore_days": None},
    }
    assert run_in(now, score_tasks.plan_scoring, config, config.scoring)
    return now


@pytest.mark.fault("S02")
def test_a_job_elsewhere_scores_under_its_claim(planned: dict[str, Any], store: Store) -> None:
    """A job of a run that has ended does nothing; the next claim's scores the plan, once.

    The watch finds the run by its marker, and without a result the step is not done.
    """
    step = open_step(planned, "score")  # type: ignore[arg-type]
    lost = claimed(step, JobState.GONE, {"backend": "lambda"})
    (marker,) = open_runs(store, OPEN_SCORING_JOBS)
    assert open_runs(store, OPEN_JOBS) == []
    known = find_known_run(store, marker)
    assert known is not None
    assert (known.run.dag_id, known.run.paths) == (f"score_{MODEL}", step.paths)
    assert stop_lost_jobs(store, EndedRun(known.run, "failed"), planned) == []  # type: ignore[arg-type]
    assert main(job_command(step, lost)) == 1

    claim = claimed(step, JobState.GONE, COMPUTE.model_dump(mode="json"))
    assert claim.name.startswith("retrain-diabetes-progres-score-")
    command = job_command(step, claim)
    assert command[:3] == ["score", "--run", f"{store.uri}/{step.paths.folder}"]
    assert not step.is_done()
    with pytest.raises(EvidenceError, match="left no result"):
        step.check_evidence(claim)
    assert main(command) == 0
    assert step.is_done()
    step.check_evidence(claim)
    assert claimed(step, JobState.ACTIVE, {}) == claim


def claimed(step: RemoteStep, state: JobState, compute: dict[str, Any]) -> JobClaim:
    """The claim to wait for, as an operator asks for it."""
    return step.job_claims.next_job(
        "score", ("score",), clear=0, compute=compute, job_state=lambda _: state
    )[0]


def test_scoring_runs_on_the_backend_that_its_own_section_names() -> None:
    """The task has the operator of that backend, its own compute, and does one step."""
    task = score_task(COMPUTE)
    assert isinstance(task, BatchJobOperator)
    assert (task.task_id, task.step, task.together) == ("score_input", "score", ("score",))
    assert task.compute == COMPUTE
