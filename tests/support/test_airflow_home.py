"""Tests use an Airflow home of their own, whichever of them imports Airflow first."""

from __future__ import annotations

from airflow import settings
from airflow.configuration import AIRFLOW_HOME

from tests.support.airflow_home import HOME, PLUGINS


def test_airflow_has_read_the_home_and_the_plugins_of_this_process() -> None:
    """Nothing is read from the user's own Airflow, and nothing written there."""
    assert AIRFLOW_HOME == HOME
    assert str(PLUGINS) == settings.PLUGINS_FOLDER
