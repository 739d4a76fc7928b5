"""One real Airflow per test module, or one for several: it takes about 20 seconds to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.airflow_harness import Stage, stage
from tests.support.repository_copy import copy_repository
from tests.support.shared_airflow import SharedAirflow, files_that_share


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository; a module overrides this to add models before Airflow starts."""
    return copy_repository(tmp_path_factory.mktemp("repository"))


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """More environment variables for Airflow; a module overrides this."""
    return {}


@pytest.fixture(scope="module")
def airflow(
    repository: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A real Airflow on the module's copy of the repository."""
    folder = tmp_path_factory.mktemp("stage")
    with stage(folder, root=repository, environment=environment) as running:
        yield running


@pytest.fixture(scope="session")
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SharedAirflow]:
    """A real Airflow for all modules that need nothing but models of their own."""
    files = files_that_share(request.session.items)
    airflow = SharedAirflow(tmp_path_factory.mktemp("shared"), len(files))
    yield airflow
    airflow.end()
