"""Which database the task opens, how much of it stays, and what it does without one."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowSkipException

from include.orchestration.upkeep.trim_database import (
    DAYS,
    TrimDatabaseOperator,
    database_url,
    days_to_keep,
)
from include.retraining.exceptions import ConfigError, InfrastructureError
from tests.support.contexts import MakeContext


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg2://airflow:p%40ss@postgres/airflow",
        "postgresql://airflow:x@db.example.org:5433/airflow?sslmode=require",
        "mysql+mysqldb://airflow:x@db/airflow",
    ],
)
def test_the_address_is_what_airflow_was_given(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment gives the connection the text of Airflow's own setting."""
    monkeypatch.setenv("AIRFLOW_CONN_AIRFLOW_DB", url)
    assert database_url(Connection.get("airflow_db")) == url


@pytest.mark.parametrize(("text", "days"), [("", None), ("7", 7), ("3650", 3650)])
def test_one_setting_says_how_long_runs_are_kept(
    text: str, days: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it says nothing, all are kept."""
    monkeypatch.setenv(DAYS, text)
    assert days_to_keep() == days


@pytest.mark.parametrize("text", ["6", "0", "-1", "30 days", "3651", "1e2"])
def test_a_setting_that_is_no_number_of_days_removes_nothing(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the setting and what is allowed."""
    monkeypatch.setenv(DAYS, text)
    with pytest.raises(ConfigError, match=r"RETRAINING_DATABASE_DAYS.*allowed: 7 to 3,650"):
        days_to_keep()


def test_without_a_connection_the_task_is_skipped(
    context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Airflow that others run may give us none, and the rest of the DAG works there."""
    monkeypatch.setenv(DAYS, "90")
    monkeypatch.delenv("AIRFLOW_CONN_AIRFLOW_DB", raising=False)
    with pytest.raises(AirflowSkipException, match="no Airflow connection 'airflow_db'"):
        TrimDatabaseOperator(task_id="trim_database").execute(context())


def test_without_the_setting_nothing_is_trimmed(
    context: MakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection may be there for other reasons: the chart of Airflow gives it to every pod."""
    monkeypatch.delenv(DAYS, raising=False)
    monkeypatch.setenv("AIRFLOW_CONN_AIRFLOW_DB", "postgresql://airflow:x@127.0.0.1:9/airflow")
    with pytest.raises(AirflowSkipException, match="RETRAINING_DATABASE_DAYS is not set"):
        TrimDatabaseOperator(task_id="trim_database").execute(context())


def test_a_database_that_cannot_be_used_is_tried_again(
    context: MakeContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And its password is in no log and no error."""
    monkeypatch.setenv(DAYS, "90")
    connection = {"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "login": "airflow"}
    monkeypatch.setenv(
        "AIRFLOW_CONN_AIRFLOW_DB", json.dumps({**connection, "password": "sesame-open-1"})
    )
    with pytest.raises(InfrastructureError, match="database was not trimmed: ") as failure:
        TrimDatabaseOperator(task_id="trim_database").execute(context())
    assert not failure.value.is_permanent
    assert "sesame-open-1" not in f"{failure.value}{caplog.text}"
