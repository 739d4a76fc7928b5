"""The plugin of the pages: light where it is only loaded, and harmless where it breaks."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

from tests.support.airflow_home import PLUGINS

# What a plugin must not bring into every process of Airflow.
HEAVY = ("fastapi", "jinja2", "include", "obstore", "pydantic", "sqlalchemy", "markdown_it")
LOAD = f"""
import sys, json
sys.path.append({str(PLUGINS)!r})
import airflow.plugins_manager
before = set(sys.modules)
import model_pages
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def ask(app: Any, path: str) -> tuple[int, bytes]:
    """Ask an ASGI app for a path, and return status and body."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    asyncio.run(app({"type": "http", "path": path}, receive, send))
    return sent[0]["status"], sent[1]["body"]


def test_loading_it_imports_nothing_heavy() -> None:
    """Every process of Airflow loads it, tasks included."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOAD], capture_output=True, text=True, check=True
    )
    brought = json.loads(done.stdout.splitlines()[-1])
    assert "model_pages" in brought
    assert [name for name in brought if name.split(".")[0] in HEAVY] == []


def test_pages_that_cannot_be_loaded_break_no_page_of_airflow() -> None:
    """They say so; the script that Airflow puts into each of its pages does nothing."""
    import model_pages

    def fails() -> Any:
        raise ImportError("for a test")

    app = model_pages.LazyApp(fails)
    status, body = ask(app, "/models")
    assert (status, b"cannot be loaded" in body) == (503, True)
    assert ask(app, "/static/fill_form.js") == (200, b"globalThis.AirflowPlugin = () => null;")


def test_it_is_loaded_once() -> None:
    """The second request meets the app that the first one loaded."""
    import model_pages

    loads: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"here"})

    def load() -> Any:
        loads.append(1)
        return app

    lazy = model_pages.LazyApp(load)
    assert [ask(lazy, "/models"), ask(lazy, "/models")] == [(200, b"here")] * 2
    assert loads == [1]


def test_the_views_lead_to_our_pages() -> None:
    """Relative, so that they work below whatever path Airflow is served."""
    from model_pages import PREFIX, ModelPages

    places = {view["destination"] for view in ModelPages.external_views}
    assert places == {"nav", "dag", "dag_run"}
    for view in (*ModelPages.external_views, *ModelPages.react_apps):
        address = view.get("href") or view["bundle_url"]
        assert str(address).startswith(PREFIX.lstrip("/") + "/")
    routes = [view["url_route"] for view in (*ModelPages.external_views, *ModelPages.react_apps)]
    assert len(set(routes)) == len(routes)
