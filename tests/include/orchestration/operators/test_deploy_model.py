"""Consumers hear of what serves, also when the task was killed behind its promotion."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.operators import run_tasks
from include.orchestration.operators.champion_asset import champion_asset
from include.retraining.decisions.evidence import judged_evidence
from include.retraining.decisions.record import Outcome
from include.retraining.decisions.records import decisions
from include.retraining.registry.promotion import Registry
from include.retraining.steps import plan as planning
from include.retraining.steps.decide import check_quality
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.run_callbacks import end_run, run_in
from tests.support.run_factory import MODEL, decide, plant_run, run_ref, version_name


@pytest.fixture
def toy_context(context: MakeContext, monkeypatch: pytest.MonkeyPatch) -> MakeContext:
    """The context of the planted run, whose code counts as unchanged."""
    monkeypatch.setattr(planning, "changed_since", lambda manifest: None)
    run = run_ref(1)

    def make(**more: Any) -> dict[str, Any]:
        return context(dag_id=run.dag_id, run_id=run.run_id, run_after=run.run_after, **more)

    return make


def deploy(context: dict[str, Any]) -> dict[str, Any]:
    """Promote; return what the asset's event would hold."""
    champion, event = champion_asset(MODEL), SimpleNamespace(extra={})
    now = {**context, "outlet_events": {champion: event}}
    assert run_in(now, run_tasks.deploy_model, champion) == event.extra
    return event.extra


def promote_and_be_killed(store: Store) -> None:
    """Append the entry, as a task does that is killed right behind it."""
    check_quality(store, plant_run(store, 1))
    found = judged_evidence(store, run_ref(1))
    Registry(store, MODEL).promote(
        manifest=found.manifest, verdict=found.verdict, report=found.report, actor="x", reason="x"
    )


@pytest.mark.fault("G17")
def test_a_task_killed_behind_its_promotion_tells_consumers_when_it_is_cleared(
    store: Store, slack: SlackReceiver, toy_context: MakeContext
) -> None:
    """The message says that nobody who waits for the asset was told, and what tells them."""
    promote_and_be_killed(store)
    end_run(toy_context(reason="task_failure", task_id="deploy_model"))
    (record,) = decisions(store, MODEL)
    assert (record.outcome, record.failed_task) == (Outcome.PROMOTED, "deploy_model")
    (message,) = slack.messages
    assert "a new version serves" in message["text"]
    assert f"`{MODEL}_champion` were not notified: clear `deploy_model`" in message["text"]
    event = deploy(toy_context(clear=1))
    assert (event["version"], event["generation"]) == (version_name(1), 1)
    assert [record.outcome for record in decisions(store, MODEL)] == [
        Outcome.NO_CHANGE,
        Outcome.PROMOTED,
    ]


def test_a_version_that_no_longer_serves_is_not_told(
    store: Store, slack: SlackReceiver, toy_context: MakeContext
) -> None:
    """Another serves since: clearing the older promotion tells nobody of a step back."""
    for number in (1, 2):
        decide(store, plant_run(store, number))
    with pytest.raises(AirflowSkipException, match="had promoted this version"):
        deploy(toy_context(clear=1))
