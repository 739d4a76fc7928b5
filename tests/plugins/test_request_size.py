"""What Airflow's API takes for a DAG is bounded, with or without a proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from request_size import MAX_BYTES, RequestSize, RequestSizePlugin

RUNS = "/api/v2/dags/retrain_toy/dagRuns"


@pytest.fixture
def client() -> TestClient:
    """An application behind the plugin's middlewares, as Airflow adds them."""
    app = FastAPI()
    for one in RequestSizePlugin.fastapi_root_middlewares:
        app.add_middleware(one["middleware"], *one["args"], **one["kwargs"])

    @app.post("/{place:path}")
    async def echo(request: Request) -> int:
        return len(await request.body())

    return TestClient(app)


@pytest.mark.fault("T09")
def test_parameters_of_many_megabytes_are_refused(client: TestClient) -> None:
    """Nothing of them gets to Airflow, and the answer says how much is taken."""
    answer = client.post(RUNS, content=b"x" * (MAX_BYTES + 1))
    assert answer.status_code == 413
    assert answer.json() == {"detail": "the body is too long: at most 65,536 bytes are taken"}
    assert client.post(RUNS, content=b"x" * MAX_BYTES).json() == MAX_BYTES


def test_a_body_of_unknown_length_is_refused(client: TestClient) -> None:
    """A body in pieces cannot be bounded before it is read."""

    def pieces() -> Iterator[bytes]:
        yield b"x"

    assert client.post(RUNS, content=pieces()).status_code == 411


def test_everything_else_is_left_alone(client: TestClient) -> None:
    """What tasks send, and what is no matter of a DAG, has no limit here."""
    for place in ("/execution/xcoms/a", "/api/v2/connections"):
        assert client.post(place, content=b"x" * (MAX_BYTES + 1)).json() == MAX_BYTES + 1
    assert RequestSize(None)._refusal({"type": "lifespan"}) is None
