"""Someone hears of upkeep that failed."""

from __future__ import annotations

import pytest

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.upkeep.alert import notify_failed_upkeep
from include.retraining.exceptions import InfrastructureError
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext


def test_a_failed_run_is_one_message(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """Its task's callback and then its DAG's, about the same run."""
    assert store.uri
    failed = context(dag_id="upkeep", task_id="trim_database")
    notify_failed_upkeep({**failed, "exception": InfrastructureError("the database is locked")})
    notify_failed_upkeep({name: value for name, value in failed.items() if name != "ti"})
    [message] = slack.messages
    for words in ("Broken", "trim_database", "the database is locked", "runbooks/upkeep.md"):
        assert words in str(message)


def test_a_message_goes_out_without_a_store(
    slack: SlackReceiver, context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store may be what is broken."""
    monkeypatch.delenv("AIRFLOW_CONN_STORE", raising=False)
    notify_failed_upkeep(context(dag_id="upkeep", task_id="remove_garbage"))
    assert len(slack.messages) == 1
