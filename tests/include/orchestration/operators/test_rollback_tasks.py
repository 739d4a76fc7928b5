"""The tasks of a rollback and of a release hand on their plan, and change what it says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import AssetAlias
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.callbacks import manual_change
from include.orchestration.operators import rollback_tasks
from include.orchestration.trigger_forms import request_form
from include.retraining.config.model import load_model
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.object_store import Store
from tests.support.run_callbacks import run_in
from tests.support.run_factory import MODEL, decide, plant_run, version_name

ALIAS = AssetAlias("rolled_back_champion")
SMOKE_TESTED = "it answers"


@pytest.fixture
def rollback(
    store: Store, slack: SlackReceiver, context: Any, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Make the context of a rollback's task, where two versions were promoted."""
    config = load_model("diabetes_progression").model_copy(update={"name": MODEL})
    monkeypatch.setattr(request_form, "model_names", lambda: [MODEL])
    for module in (rollback_tasks, manual_change):
        monkeypatch.setattr(module, "load_model", lambda name: config)
    for number in (1, 2):
        decide(store, plant_run(store, number))

    def make(dag_id: str = "rollback_model", **conf: Any) -> Any:
        added: list[Any] = []
        event = SimpleNamespace(add=lambda asset, extra: added.append((asset.name, extra)))
        now = context(dag_id=dag_id, conf={"model": MODEL, "reason": "bad", **conf})
        now["params"] = {}
        return {**now, "outlet_events": {ALIAS: event}, "added": added}

    return make


def champion(store: Store) -> str:
    """Return the version that the promotion log names."""
    entry = PromotionLog(store, MODEL).champion()
    assert entry is not None
    return entry.version


def test_a_dry_run_says_what_would_change_and_a_rollback_changes_it(
    rollback: Any, store: Store
) -> None:
    """The plan is handed on as plain data; the event names the new champion."""
    trial = rollback(dry_run=True, generation=2)
    plan = run_in(trial, rollback_tasks.check_request)
    with pytest.raises(AirflowSkipException, match="nothing was changed"):
        run_in(trial, rollback_tasks.roll_back, plan, SMOKE_TESTED, ALIAS)
    said = run_in(trial, rollback_tasks.report_dry_run, plan, SMOKE_TESTED)
    assert f"version {version_name(1)}" in said
    assert said.endswith(SMOKE_TESTED)
    assert champion(store) == version_name(2)
    now = rollback(dry_run=False, generation=2)
    with pytest.raises(AirflowSkipException, match="no dry run"):
        run_in(now, rollback_tasks.report_dry_run, plan, SMOKE_TESTED)
    event = run_in(now, rollback_tasks.roll_back, plan, SMOKE_TESTED, ALIAS)
    assert event == {"version": version_name(1), "generation": 3}
    assert now["added"] == [(f"{MODEL}_champion", event)]
    assert champion(store) == version_name(1)
    released = run_in(rollback("release_model"), rollback_tasks.release_hold)
    assert released == {"version": version_name(1), "generation": 4}


@pytest.mark.parametrize("smoke_tested", [None, "", {"a": 1}])
def test_a_version_that_was_not_tested_is_not_made_the_champion(
    rollback: Any, store: Store, smoke_tested: object
) -> None:
    """An XCom that is missing or was altered is a no."""
    now = rollback(dry_run=False, generation=2)
    plan = run_in(now, rollback_tasks.check_request)
    with pytest.raises(AirflowFailException, match="clear `try_version`"):
        run_in(now, rollback_tasks.roll_back, plan, smoke_tested, ALIAS)
    with pytest.raises(AirflowFailException, match="check_request"):
        run_in(now, rollback_tasks.roll_back, {"model": MODEL}, SMOKE_TESTED, ALIAS)
    assert champion(store) == version_name(2)
