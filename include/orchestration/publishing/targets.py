"""The targets of a model's YAML, reached by the names of Airflow's connections."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from include.orchestration.runtime.connections import why_missing
from include.orchestration.runtime.http_connection import http_address
from include.orchestration.runtime.store import connection_options
from include.retraining.config.publish import MlflowTarget, PointerTarget, Publish, WebhookTarget
from include.retraining.exceptions import ConfigError, RetrainingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.retraining.publishing.http_target import HttpTarget
    from include.retraining.publishing.target import Target
    from include.retraining.store.object_store import Store


class Targets:
    """The targets of all models in one pass: each connection is read once, and given up once."""

    def __init__(self, store: Store) -> None:
        """Begin a pass.

        Args:
            store: that of the models, in which pointers may lie too.
        """
        self._store = store
        self._connections: dict[str, Connection] = {}
        self._servers: dict[str, HttpTarget] = {}
        self._down: dict[str, str] = {}
        self._lock = Lock()

    def close(self) -> None:
        """Close the connections of the pass."""
        for server in self._servers.values():
            server.close()

    def of(self, model: str, publish: Publish) -> dict[str, Target]:
        """Return the targets of a model by their kind, in the order in which they are published.

        One whose connection is missing or wrong is there too, and says so when it is used.
        """
        targets: dict[str, Target] = {}
        if (pointer := publish.pointer) is not None:
            place = pointer.connection or "store"
            targets["pointer"] = self._usable(place, lambda: self._pointer(pointer))
        if (mlflow := publish.mlflow) is not None:
            targets["mlflow"] = self._usable(mlflow.connection, lambda: self._mlflow(mlflow, model))
        if (webhook := publish.webhook) is not None:
            targets["webhook"] = self._usable(webhook.connection, lambda: self._webhook(webhook))
        return targets

    def _usable(self, connection: str, make: Callable[[], Target]) -> Target:
        from include.retraining.publishing.target import OncePerPass, UnusableTarget

        try:
            return OncePerPass(make(), connection, self._down)
        except RetrainingError as problem:
            return UnusableTarget(f"connection {connection!r}: {problem}")

    def _pointer(self, target: PointerTarget) -> Target:
        from include.retraining.publishing.pointer import PointerFile
        from include.retraining.store.object_store import Store

        if "://" not in target.address:
            return PointerFile(self._store, target.address, sets_back=target.set_back)
        folder, _, key = target.address.rpartition("/")
        if target.connection is None:
            place = self._store.sibling(folder)
        else:
            place = Store(folder, connection_options(self._connection(target.connection)))
        return PointerFile(place, key, sets_back=target.set_back)

    def _mlflow(self, target: MlflowTarget, model: str) -> Target:
        from include.retraining.publishing.mlflow import MlflowRegistry
        from include.retraining.publishing.mlflow_api import MlflowApi

        api = MlflowApi(self._server(target.connection, has_login=True))
        name = target.registered_model or model
        return MlflowRegistry(api, name, target.alias, sets_back=target.set_back)

    def _webhook(self, target: WebhookTarget) -> Target:
        from include.retraining.publishing.webhook import Webhook, secret_of

        secret = secret_of(self._connection(target.connection).password)
        return Webhook(self._server(target.connection, has_login=False), secret)

    def _server(self, name: str, *, has_login: bool) -> HttpTarget:
        """Return the server of a connection, whose password is a login's or signs."""
        from include.retraining.publishing.http_target import HttpTarget

        connection = self._connection(name)
        login = (connection.login or None) if has_login else None
        password = connection.password if has_login else None
        with self._lock:
            if name not in self._servers:
                self._servers[name] = HttpTarget(
                    name, http_address(connection), login=login, password=password
                )
            return self._servers[name]

    def _connection(self, name: str) -> Connection:
        with self._lock:
            if name not in self._connections:
                try:
                    self._connections[name] = Connection.get(name)
                except AirflowNotFoundException as error:
                    raise ConfigError(f"there is none: {why_missing(name)}") from error
            return self._connections[name]
