"""The alert for other DAGs, as the documentation shows it, called as Airflow calls it."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import structlog
from airflow.callbacks.callback_requests import DagCallbackRequest
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.dag_processing.processor import _execute_dag_callbacks
from airflow.sdk import DAG
from airflow.sdk.execution_time.task_runner import _run_task_state_change_callbacks
from structlog.testing import capture_logs

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.callbacks.slack_alert import SlackAlert
from include.retraining.exceptions import NotSent
from tests.support.contexts import MakeContext

PAGE = Path(__file__).resolve().parents[4] / "docs" / "other-dags.md"

# Airflow's own use of a library.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")


@pytest.fixture
def bag(tmp_path: Path) -> BundleDagBag:
    """The DAG that the documentation shows."""
    (example,) = re.findall(r"```python\n(.+?)```", PAGE.read_text(), re.DOTALL)
    file = tmp_path / "score_loans.py"
    file.write_text(example)
    bag = BundleDagBag(dag_folder=file, bundle_path=tmp_path, bundle_name="other")
    assert bag.import_errors == {}
    return bag


def fail_run(bag: BundleDagBag) -> None:
    """Do what the DAG processor does when a run failed."""
    request = DagCallbackRequest(
        filepath="score_loans.py",
        bundle_name="other",
        bundle_version=None,
        dag_id="score_loans",
        run_id="asset_triggered__1",
        msg="task_failure",
    )
    _execute_dag_callbacks(bag, request, structlog.get_logger())


def test_the_example_of_the_documentation_notifies_of_a_failed_run(
    bag: BundleDagBag, slack: SlackReceiver
) -> None:
    """One message: what failed, the next step, the owner, and a link to the run."""
    fail_run(bag)
    (message,) = slack.messages
    assert "score_loans" in message["text"]
    assert "task_failure" in message["text"]
    assert "Clear `score`: it starts from the last batch." in message["text"]
    assert "Owner: credit-risk" in message["text"]
    assert "/dags/score_loans/runs/asset_triggered__1" in message["text"]


def test_a_callback_that_fails_keeps_no_other_from_being_called(
    bag: BundleDagBag, slack: SlackReceiver, context: MakeContext
) -> None:
    """In the DAG processor and in a worker alike; each failure has a line of its own."""

    def broken(context: MakeContext) -> None:
        raise ZeroDivisionError("planted")

    dag: DAG = bag.dags["score_loans"]
    callbacks: list[Any] = [broken, SlackAlert(), broken]
    dag.on_failure_callback = callbacks
    with capture_logs() as lines:
        fail_run(bag)
    assert [line["event"] for line in lines].count("Callback failed") == 2
    task: Any = dag.task_dict["score"]
    task.on_failure_callback = callbacks
    now = context(task_id="score", exception=ValueError("planted"), outlet_events={})
    with capture_logs() as lines:
        _run_task_state_change_callbacks(task, "on_failure_callback", now, structlog.get_logger())
    assert [line["index"] for line in lines if "Failed to run" in line["event"]] == [0, 2]
    assert len(slack.messages) == 2


def test_nothing_in_an_alert_is_a_template_and_no_value_of_an_error_is_repeated(
    slack: SlackReceiver, context: MakeContext
) -> None:
    """Braces in an id stay braces, also on the second call; a foreign error is its type."""
    alert = SlackAlert(owner="{{ 7 * 7 }}", step="Ask {{ dag }}.")
    for _ in range(2):
        alert(context(dag_id="a_dag", exception=ValueError("row 3: Ada Lovelace")))
    for message in slack.messages:
        assert "{{ 7 * 7 }}" in message["text"]
        assert "Ask {{ dag }}." in message["text"]
        assert "ValueError" in message["text"]
        assert "Lovelace" not in str(message)
    assert len(slack.messages) == 2


def test_an_alert_that_slack_does_not_take_is_logged_without_the_webhook(
    context: MakeContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The notifier raises, Airflow logs it, and the run goes on."""
    connection = '{"conn_type": "slackwebhook", "password": "http://127.0.0.1:9/services/canary"}'
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_ALERTS", connection)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NotSent) as error:
        SlackAlert()(context(reason="task_failure"))
    assert "canary" not in f"{caplog.text}{error.value}"
