"""What tasks hand on by XCom is small, and can keep a version from being promoted, never more."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowFailException

from include.orchestration.backends.batch.operator import BatchJobOperator
from include.orchestration.backends.evaluated import evaluated
from include.orchestration.backends.kubernetes.operator import KubernetesJobOperator
from include.orchestration.backends.local.operator import LocalJobOperator
from include.orchestration.operators import run_tasks
from include.retraining.config.model import load_model
from include.retraining.gate.report import EvaluationReport
from include.retraining.gate.verdict import Answer, GateResult, Verdict
from include.retraining.runs.manifest import read_manifest
from include.retraining.runs.results import read_result
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.run_callbacks import run_in
from tests.support.run_factory import plant_run, run_ref

MAX_XCOM_BYTES = 16 * 1024
"""Far below what any database takes for an XCom, and a page of the UI shows."""


@pytest.fixture
def evaluated_run(store: Store, context: MakeContext) -> dict[str, Any]:
    """The context of a run that is evaluated and not yet judged."""
    plant_run(store, 1)
    return of_run(context)


def of_run(context: MakeContext, **more: Any) -> dict[str, Any]:
    """Return the context of a task of the planted run."""
    run = run_ref(1)
    found: dict[str, Any] = context(
        dag_id=run.dag_id, run_id=run.run_id, run_after=run.run_after, **more
    )
    return found


def verdicts(store: Store) -> list[str]:
    """Return where the planted run has verdicts."""
    return [clear for clear in map(run_ref(1).paths.verdict, range(3)) if store.exists(clear)]


def test_the_gate_judges_the_report_that_the_evaluation_returned(
    evaluated_run: dict[str, Any], store: Store
) -> None:
    """What is handed on names the report in the store by its digest, with the scores beside it."""
    handed_on = evaluated(evaluated_run)  # type: ignore[arg-type]
    paths = run_ref(1).paths
    result = read_result(store, paths, read_manifest(store, paths), "evaluate")
    report = EvaluationReport.from_bytes(store.read(result.report.key), where="report")
    assert handed_on == {
        "report": f"{store.uri}/{result.report.key}",
        "sha256": result.report.sha256,
        "version": report.challenger.version,
        "metrics": report.challenger.metrics,
    }
    assert run_in(evaluated_run, run_tasks.check_quality, handed_on) is True
    assert len(verdicts(store)) == 1


@pytest.mark.parametrize(
    "handed_on",
    [{"sha256": "0" * 64}, {"sha256": None}, {}, {"metrics": {"r2": 1.0}}, "yes", True, ["pass"]],
)
def test_another_report_is_refused_without_a_verdict_and_without_a_retry(
    evaluated_run: dict[str, Any], store: Store, handed_on: object
) -> None:
    """An XCom that was altered, or is of another report, is a no; the error says what to clear."""
    with pytest.raises(AirflowFailException, match=r"clear .?evaluate_model"):
        run_in(evaluated_run, run_tasks.check_quality, handed_on)
    assert verdicts(store) == []


def test_metrics_that_were_altered_decide_nothing(
    evaluated_run: dict[str, Any], store: Store
) -> None:
    """The store's report is judged, whatever scores are beside its digest."""
    handed_on = {**evaluated(evaluated_run), "metrics": {"r2": -9.0}}  # type: ignore[arg-type]
    assert run_in(evaluated_run, run_tasks.check_quality, handed_on) is True


def test_a_run_that_was_evaluated_before_an_upgrade_is_judged_by_the_store(
    evaluated_run: dict[str, Any], store: Store
) -> None:
    """Its task returned nothing, as one does that someone marked as a success."""
    assert run_in(evaluated_run, run_tasks.check_quality, None) is True


def test_a_gate_that_is_cleared_alone_takes_the_same_report_again(
    evaluated_run: dict[str, Any], store: Store, context: MakeContext
) -> None:
    """Airflow keeps the XCom of a task that is not cleared."""
    handed_on = evaluated(evaluated_run)  # type: ignore[arg-type]
    run_in(evaluated_run, run_tasks.check_quality, handed_on)
    cleared = of_run(context, clear=1)
    assert run_in(cleared, run_tasks.check_quality, handed_on) is True
    assert len(verdicts(store)) == 2


@pytest.mark.parametrize("kind", [LocalJobOperator, BatchJobOperator, KubernetesJobOperator])
def test_every_backend_hands_on_what_the_store_holds(
    evaluated_run: dict[str, Any],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Any],
) -> None:
    """At once, and after it deferred; other steps hand on nothing."""
    monkeypatch.setattr(kind, "begin", lambda self, context: None)
    compute = load_model("diabetes_progression").compute.of("evaluate")
    job = kind(task_id="evaluate_model", step="evaluate", compute=compute)
    expected = evaluated(evaluated_run)  # type: ignore[arg-type]
    assert job.execute(evaluated_run) == expected
    again = {"claim": 1, "beat": 1, "looks": 1}
    assert job.resume_execution("look_at_training", again, evaluated_run) == expected
    other = kind(task_id="validate_data", step="validate", compute=compute)
    assert other.execute(evaluated_run) is None


def test_what_is_handed_on_is_small(planned: dict[str, Any], evaluated_run: dict[str, Any]) -> None:
    """Also of a verdict with more gates, of longer names, than any model has."""
    gate = GateResult(
        gate="slice " + "x" * 150, answer=Answer.PASS, value=0.123, limit=0.5, reason=""
    )
    verdict = Verdict.model_construct(answer=Answer.PASS, headline="y" * 600, gates=(gate,) * 5000)
    for handed_on in (
        planned["ti"].xcoms,
        evaluated(evaluated_run),  # type: ignore[arg-type]
        run_tasks._judged(verdict),
    ):
        assert len(json.dumps(handed_on)) < MAX_XCOM_BYTES


def test_what_is_handed_on_is_no_template() -> None:
    """Airflow gives a task another's output as it is: braces in a name stay braces."""
    with DAG("a_dag", schedule=None) as dag:

        @task
        def make() -> str:
            return "unused"

        @task
        def take(value: Any) -> Any:
            return value

        taken = take(make())  # type: ignore[arg-type]
    operator: Any = taken.operator
    hostile = {"sha256": "{{ 7 * 7 }}"}
    ti: Any = type("TI", (), {"xcom_pull": lambda *_, **__: hostile, "task": operator})()
    operator.render_template_fields({"ti": ti, "dag": dag, "expanded_ti_count": None})
    assert operator.op_args == (hostile,) or list(operator.op_args) == [hostile]
