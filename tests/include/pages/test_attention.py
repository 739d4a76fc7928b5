"""What needs a person, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.pages.airflow_state import DagSummary
from include.pages.attention import Urgency, needs, urgency
from include.pages.urls import approval_link
from include.retraining.decisions.alarm_state import RaisedAlarm
from include.retraining.decisions.record import Outcome
from include.retraining.history.overview import ModelSummary, summarize_model
from tests.support.large_store import crowded_store
from tests.test_runbooks import PAGES

DAG = DagSummary("retrain_a", is_there=True)


@pytest.fixture
def seen(tmp_path: Path) -> list[ModelSummary]:
    """Ten models, each in another state."""
    store = crowded_store((tmp_path / "s").as_uri(), models=10, decisions=30)
    return [summarize_model(store, name, entries=3) for name in store.children("models")[0]]


def test_each_state_has_its_urgency(seen: list[ModelSummary]) -> None:
    """What broke before what is held, and a refusal or a promotion needs nobody."""
    found = {one.model: urgency(needs(one, DAG, 0)) for one in seen}
    for one in seen:
        assert one.newest is not None
        if one.newest.outcome in {Outcome.FAILED, Outcome.CANNOT_JUDGE}:
            assert found[one.model] is Urgency.BROKEN
        elif one.hold is not None:
            assert found[one.model] is Urgency.HELD
        elif not one.raised:
            assert found[one.model] is Urgency.NOTHING
    assert {Urgency.BROKEN, Urgency.HELD, Urgency.ALARM, Urgency.NOTHING} == set(found.values())


def test_the_most_urgent_comes_first() -> None:
    """A model may need more than one thing."""
    raised = RaisedAlarm(since=datetime(2026, 1, 1, tzinfo=UTC), model="a", title="A", over="over")
    one = ModelSummary(
        "a", raised={"late": raised, "unheard_of": raised}, problems=("damaged",), is_log_read=False
    )
    dag = DagSummary("retrain_a", is_there=True, waits_for_person="manual__1")
    found = needs(one, dag, 2)
    assert [need.urgency for need in found] == [1, 3, 4, 4, 5]
    assert found[-1].summary == "2 messages are not delivered"
    assert "unheard of, since 01 Jan 00:00 UTC" in {need.summary for need in found}
    assert [need.link for need in found if need.urgency is Urgency.WAITING] == [
        approval_link(dag.dag_id, "manual__1")
    ]
    for need in found:
        if need.runbook != "unheard_of":
            assert (PAGES / f"{need.runbook}.md").is_file(), need
