"""The pages as a FastAPI app that Airflow's API server mounts. Every route only reads.

Airflow's own login is asked for on every route, and a model shows only to who may read its DAG.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse

from include.orchestration.runtime.run_reference import DAG_PREFIX, model_of
from include.pages import airflow_state, rendering, urls
from include.pages.access import GetUserDep, get_user, may_trigger, readable
from include.pages.card_html import PICTURE
from include.pages.model_page import model_page
from include.pages.models_page import models_page
from include.pages.run_page import RUN_NAME, run_of, run_page
from include.pages.silenced import silenced
from include.pages.store_access import open_store_for_page
from include.retraining.config.model import NAME_PATTERN
from include.retraining.exceptions import NotFound, RetrainingError
from include.retraining.formatting.text import truncate
from include.retraining.history.overview import sentence_of
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

HEADERS = {
    # Only our own style sheet, scripts and pictures; framed by Airflow's UI alone.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
CACHED = "private, max-age=86400"
KINDS = {".css": "text/css", ".js": "text/javascript"}

app = FastAPI(
    title="Models",
    dependencies=[Depends(get_user)],
    # These would answer anybody.
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)


@app.middleware("http")
async def with_headers(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    """Put the security headers on every answer, a refusal included."""
    answer = await call_next(request)
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    return answer


@app.get("/")
def home(request: Request) -> Response:
    """Lead to the page of all models."""
    return RedirectResponse(f"{_root(request)}/models")


@app.get("/models")
def all_models(request: Request, user: GetUserDep) -> Response:
    """Show all models that the reader may see, those that need attention first."""
    store = open_store_for_page()
    page = models_page(store, _names(user, store), datetime.now(UTC))
    return _for_reader(request, user, store, "models.html", page=page)


@app.get("/models/{model}")
def one_model(
    request: Request, user: GetUserDep, model: str, before: str | None = None
) -> Response:
    """Show a model: its champion, how that was promoted, and its decisions."""
    return _model(request, user, model, before)


@app.get("/dag")
def dag_tab(request: Request, user: GetUserDep, dag_id: str, before: str | None = None) -> Response:
    """Show the model of a DAG, for the tab on a DAG's page."""
    return _model(request, user, _model_of(dag_id), before)


@app.get("/models/{model}/runs/{run}")
def one_run(request: Request, user: GetUserDep, model: str, run: str) -> Response:
    """Show what a run decided."""
    _require(user, model)
    store = open_store_for_page()
    page = run_page(store, model, run, _root(request))
    return _for_reader(request, user, store, "run.html", page=page)


@app.get("/run")
def run_tab(request: Request, user: GetUserDep, dag_id: str, run_id: str) -> Response:
    """Show what a run decided, for the tab on a run's page."""
    model = _model_of(dag_id)
    _require(user, model)
    store = open_store_for_page()
    due = airflow_state.due(dag_id, run_id)
    run = run_of(store, model, run_id, due)
    page = run_page(store, model, run, _root(request), is_known=due is not None)
    return _for_reader(request, user, store, "run.html", page=page)


@app.get("/models/{model}/runs/{run}/card/{picture}")
def card_picture(user: GetUserDep, model: str, run: str, picture: str) -> Response:
    """Return a picture of a model card."""
    _require(user, model)
    if not RUN_NAME.fullmatch(run) or set(run) == {"."} or not PICTURE.fullmatch(picture):
        raise NotFound(f"there is no picture {picture!r} of the run {run!r}")
    data = open_store_for_page().read_if_present(f"{RunPaths(model, run).card}/{picture}")
    if data is None:
        raise NotFound(f"the card of the run {run!r} has no picture {picture!r}")
    return Response(data, media_type="image/png")


@app.get("/static/{file}")
def static_file(file: str) -> Response:
    """Return the style sheet or a script."""
    static_path = {path.name: path for path in rendering.STATIC.iterdir()}.get(file)
    if static_path is None or static_path.suffix not in KINDS:
        raise NotFound(f"there is no file {file!r}")
    kind = KINDS[static_path.suffix]
    return Response(static_path.read_bytes(), media_type=kind, headers={"Cache-Control": CACHED})


@app.exception_handler(RetrainingError)
def show_error(request: Request, error: Exception) -> Response:
    """Return a page that says what cannot be shown, and what to do."""
    if not isinstance(error, NotFound):
        log.warning("%s cannot be shown: %s", request.url.path, sentence_of(error))
        return _problem(request, 503, "The store cannot be read", sentence_of(error), "store")
    return _no_such_page(request, sentence_of(error))


@app.exception_handler(RequestValidationError)
def show_invalid_address(request: Request, error: RequestValidationError) -> Response:
    """Return a page that names the parameters that the address should have."""
    lacks = ", ".join(str(one["loc"][-1]) for one in error.errors())
    return _no_such_page(request, f"the address lacks: {lacks}")


@app.exception_handler(401)
def require_login(request: Request, error: HTTPException) -> Response:
    """Return a page for who is not logged in."""
    reason = "Log in to Airflow and open this address again."
    answer = _problem(request, 401, "You are not logged in", reason)
    answer.headers.update(error.headers or {})
    return answer


@app.exception_handler(404)
def show_not_found(request: Request, _: Exception) -> Response:
    """Return a page for an address that is none of ours."""
    return _no_such_page(request, f"nothing answers at {truncate(request.url.path, 80)!r}")


@app.exception_handler(Exception)
def show_unexpected_error(request: Request, error: Exception) -> Response:
    """Return a page that names the kind of error; its text is in the API server's log."""
    reason = f"{type(error).__name__}: the log of Airflow's API server has the rest"
    answer = _problem(request, 500, "This page broke", reason)
    answer.headers.update(HEADERS)  # it passes by the middleware
    return answer


def _model(request: Request, user: Any, model: str, before: str | None) -> Response:
    _require(user, model)
    if before is not None and not RUN_NAME.fullmatch(before):
        raise NotFound(f"before={before!r} is not the name of a decision")
    store = open_store_for_page()
    page = model_page(store, model, datetime.now(UTC), _root(request), before=before)
    if not page.row.dag.is_there and model not in store.children("models")[0]:
        raise _unknown(model)
    dags = ("rollback_model", "release_model", page.row.dag.dag_id)
    may = {dag_id for dag_id in dags if may_trigger(user, dag_id)}
    return _for_reader(request, user, store, "model.html", page=page, may=may)


def _names(user: Any, store: Store) -> list[str]:
    """Return the models that a user may see: those that Airflow has or that left a trace."""
    stored = (name for name in store.children("models")[0] if re.fullmatch(NAME_PATTERN, name))
    ids = airflow_state.model_dag_ids() | {DAG_PREFIX + name for name in stored}
    return sorted(model_of(dag_id) for dag_id in readable(user, ids))


def _require(user: Any, model: str) -> None:
    """Refuse what a user may not see in the words for what is not there."""
    dag_id = DAG_PREFIX + model
    if not re.fullmatch(NAME_PATTERN, model) or dag_id not in readable(user, [dag_id]):
        raise _unknown(model)


def _unknown(model: str) -> NotFound:
    return NotFound(f"there is no model {truncate(model, 80)!r} that you may see")


def _model_of(dag_id: str) -> str:
    if not dag_id.startswith(DAG_PREFIX):
        raise NotFound(f"the DAG {dag_id!r} retrains no model: those that do begin with retrain_")
    return model_of(dag_id)


def _root(request: Request) -> str:
    """Return the path below which our pages are served."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def _no_such_page(request: Request, reason: str) -> Response:
    return _problem(request, 404, "There is no such page", reason)


def _problem(
    request: Request, status: int, title: str, reason: str, runbook: str | None = None
) -> Response:
    values = {"title": title, "reason": reason, "runbook": runbook}
    return _shown(request, "error.html", status=status, **values)


def _for_reader(
    request: Request, user: Any, store: Store, template: str, **values: Any
) -> Response:
    """Show a page of the store, below the silences that its reader may see."""
    return _shown(request, template, silences=silenced(user, store), **values)


def _shown(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    values |= {"root": _root(request), "airflow": urls.airflow_path()}
    values.setdefault("silences", [])
    return HTMLResponse(rendering.render(template, **values), status_code=status)
