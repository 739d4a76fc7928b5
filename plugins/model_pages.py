"""The pages about the models in the Airflow UI: where they are, and the way to them.

Light at import: Airflow loads every plugin in each of its processes, tasks included. What makes the
pages is imported by the API server alone, at the first request. It knows no bundle, so `include` is
taken from beside this folder.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "/retraining"

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]


class LazyApp:
    """An ASGI app that is imported when it is first asked."""

    def __init__(self, load: Callable[[], App]) -> None:
        """Take what imports it."""
        self._load = load
        self._app: App | None = None

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        if self._app is None:
            try:
                # In a thread: the import takes a second, and the whole API server would wait.
                self._app = await asyncio.to_thread(self._load)
            except Exception:
                log.exception("the pages about the models cannot be loaded")
                await _refuse(scope, send)
                return
        await self._app(scope, receive, send)


async def _refuse(scope: Message, send: Callable[[Message], Awaitable[None]]) -> None:
    """Report that the pages are broken, without breaking a page of Airflow's own."""
    status, kind, body = (
        503,
        b"text/plain",
        b"These pages cannot be loaded: see the API server's log.",
    )
    if str(scope.get("path", "")).endswith(".js"):
        # Airflow shows an error on each of its pages for a script that does not load.
        status, kind, body = 200, b"text/javascript", b"globalThis.AirflowPlugin = () => null;"
    await send({
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", kind)],
    })
    await send({"type": "http.response.body", "body": body})


def _load() -> App:
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    from include.pages.app import app

    return app


class ModelPages(AirflowPlugin):
    """Models in the navigation, and tabs on a DAG and on a run."""

    name = "retraining"
    fastapi_apps: ClassVar[list[Any]] = [
        {"app": LazyApp(_load), "url_prefix": PREFIX, "name": "Models"}
    ]
    external_views: ClassVar[list[Any]] = [
        {
            "name": "Models",
            "href": "retraining/models",
            "destination": "nav",
            "url_route": "models",
            "nav_top_level": True,
        },
        {
            "name": "Model",
            "href": "retraining/dag?dag_id={DAG_ID}",
            "destination": "dag",
            "url_route": "model",
        },
        {
            "name": "Decision",
            "href": "retraining/run?dag_id={DAG_ID}&run_id={RUN_ID}",
            "destination": "dag_run",
            "url_route": "decision",
        },
    ]
    react_apps: ClassVar[list[Any]] = [
        {
            # Opens a DAG's trigger form filled in, which Airflow 3.3 cannot do by an address:
            # https://github.com/apache/airflow/issues/54800
            "name": "retraining_fill_form",
            "bundle_url": "retraining/static/fill_form.js",
            "destination": "base",
            "url_route": "retraining-fill-form",
        },
    ]
