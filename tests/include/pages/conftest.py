"""The pages within Airflow's own API server, in this process, over a store on a folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from include.local_airflow.demo.store import store_connection
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.large_store import crowded_store

SETTINGS = {
    "AIRFLOW__CORE__AUTH_MANAGER": "tests.support.picky_auth.PickyAuthManager",
    "AIRFLOW__API_AUTH__JWT_SECRET": "not-a-secret-" * 6,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
}
MODELS = ("loan_approval", "hidden_model")


@pytest.fixture(scope="package")
def airflow_app() -> Iterator[Any]:
    """Airflow's API server with our plugin, on an empty database."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        from airflow.api_fastapi.app import create_app, purge_cached_app
        from airflow.utils.db import initdb

        # Airflow's own code is not held to our rule that a warning is an error.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            initdb()
            purge_cached_app()
            app = create_app(apps="core")
        yield app
        purge_cached_app()


@pytest.fixture(scope="package")
def tokens(airflow_app: Any) -> dict[str, str]:
    """A token for a user of each role, by role."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return {
        role: get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=role, role=role))
        for role in ("ADMIN", "OP", "USER", "VIEWER")
    }


class Reader:
    """A person who looks at the pages."""

    def __init__(self, app: Any, token: str | None) -> None:
        """Log in with a token, or not at all."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = TestClient(app, headers=headers, raise_server_exceptions=False)

    def get(self, path: str) -> Any:
        """Return the answer to a request for one of our pages."""
        return self.client.get(f"/retraining{path}", follow_redirects=False)


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Twelve models with 48 decisions, read only."""
    folder = tmp_path_factory.mktemp("crowd")
    return crowded_store(folder.as_uri(), models=12, decisions=48, first=MODELS)


@pytest.fixture
def store(crowd: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The crowd, as the store of this Airflow."""
    connect(monkeypatch, crowd.uri)
    return crowd


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store without a model, as that of this Airflow."""
    made = initialise((tmp_path / "s").as_uri(), {})
    connect(monkeypatch, made.uri)
    return made


def connect(patch: pytest.MonkeyPatch, uri: str, options: dict[str, str] | None = None) -> None:
    """Let the connection `store` name a place."""
    patch.setenv("AIRFLOW_CONN_STORE", store_connection(uri, options or {}))


@pytest.fixture
def user(airflow_app: Any, tokens: dict[str, str]) -> Reader:
    """Who may start runs."""
    return Reader(airflow_app, tokens["USER"])


@pytest.fixture
def viewer(airflow_app: Any, tokens: dict[str, str]) -> Reader:
    """Who may look."""
    return Reader(airflow_app, tokens["VIEWER"])


@pytest.fixture
def admin(airflow_app: Any, tokens: dict[str, str]) -> Reader:
    """Who may do all."""
    return Reader(airflow_app, tokens["ADMIN"])


@pytest.fixture
def stranger(airflow_app: Any) -> Reader:
    """Whom nobody has logged in."""
    return Reader(airflow_app, None)
