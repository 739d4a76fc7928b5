"""No secret is in any place that people or other programs read, whatever went wrong.

Every connection and variable of Airflow holds a value of its own, models run on every backend, one
of them fails with its environment as its last word, and Slack is away, busy and broken meanwhile.
"""

from __future__ import annotations

import functools
import json
import uuid
from collections.abc import Iterator

import pytest

from include.local_airflow.demo.store import store_connection
from include.local_airflow.slack_receiver import BROKEN, TOO_MANY
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.notifications import outbox
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import OPTIONS_VARIABLE
from tests.conftest import S3_OPTIONS, new_bucket
from tests.support import aws_batch_api, aws_lambda_api, kubernetes_api
from tests.support.backend_models import (
    Platforms,
    everywhere,
    on_batch,
    on_kubernetes,
    on_lambda,
    platforms,
)
from tests.support.invariants import check_no_canary
from tests.support.repository_copy import add_model, copy_repository
from tests.support.scenes import patients, telling_secrets
from tests.support.vault_server import Vault, vault_server

pytestmark = [pytest.mark.airflow, pytest.mark.rare]

MODELS = {
    "on_worker": {},
    "on_batch": everywhere(on_batch()),
    "on_kubernetes": everywhere(on_kubernetes()),
    "on_lambda": everywhere(on_lambda()),
}
CANARIES = {
    name: f"canary-{name}-{uuid.uuid4().hex}" for name in ("login", "password", "session")
} | {
    "batch": aws_batch_api.SECRET,
    "kubernetes": kubernetes_api.SECRET,
    "lambda": aws_lambda_api.SECRET,
}


@pytest.fixture(scope="module")
def vault() -> Iterator[Vault]:
    """A Vault on loopback, for the store's connection."""
    with vault_server() as running:
        yield running


@pytest.fixture(scope="module")
def here(
    tmp_path_factory: pytest.TempPathFactory, s3_endpoint: str, vault: Vault
) -> Iterator[Platforms]:
    """Airflow with all platforms and a store on S3, and a secret in every connection.

    That of the store is in Vault and nowhere else.
    """
    root = copy_repository(tmp_path_factory.mktemp("repository"))
    for name, values in MODELS.items():
        add_model(root, name, values=values, code=telling_secrets)
    add_model(root, "failing", code=functools.partial(telling_secrets, fails=True))
    role = {**S3_OPTIONS, "AWS_ENDPOINT_URL": s3_endpoint}
    options = {
        **role,
        "AWS_ACCESS_KEY_ID": CANARIES["login"],
        "AWS_SECRET_ACCESS_KEY": CANARIES["password"],
        "AWS_SESSION_TOKEN": CANARIES["session"],
    }
    store = store_marker.initialise(f"s3://{new_bucket(s3_endpoint)}/here", options)
    vault.kv["connections/store"] = json.loads(store_connection(store.uri, store.options))
    with platforms(
        tmp_path_factory.mktemp("stage"),
        root,
        role={OPTIONS_VARIABLE: json.dumps(role)},
        environment={
            "AIRFLOW_CONN_STORE": "",
            **vault.settings(),
        },
        store=store,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def records(here: Platforms) -> list[DecisionRecord]:
    """The decisions of a run on each backend and of one that failed, told through a bad Slack."""
    airflow = here.airflow
    airflow.slack.stop()
    airflow.land("failing", patients())
    _, failed = airflow.run("failing")
    assert (failed.outcome, failed.failed_task) == (Outcome.FAILED, "train_model")
    airflow.wait_for(
        lambda: any(failed.run in one.key for one in outbox.waiting(airflow.store)),
        "notice in the outbox",
    )
    airflow.slack.answer_next(BROKEN, TOO_MANY)
    airflow.slack.start()
    for model in MODELS:
        airflow.land(model, patients())
    runs = {model: airflow.start_run(model) for model in MODELS}
    promoted = []
    for model, run_id in runs.items():
        airflow.wait_for_end(model, run_id, 600)
        promoted.append(airflow.record(model, run_id))
    assert {record.outcome for record in promoted} == {Outcome.PROMOTED}
    return [failed, *promoted]


def places(here: Platforms) -> Iterator[tuple[str, bytes]]:
    """Yield everything that was written or sent, with the name of its place."""
    yield from here.airflow.places()
    yield "batch", json.dumps([call.body for call in here.batch.calls]).encode()
    yield "lambda", json.dumps([call.body for call in here.functions.calls]).encode()
    yield "kubernetes", json.dumps([one.body for one in here.kubernetes.requests]).encode()


@pytest.mark.fault("L01")
def test_no_secret_is_anywhere(
    here: Platforms, vault: Vault, records: list[DecisionRecord]
) -> None:
    """Task logs, the services' output, the database, the store, Slack and all platforms."""
    tokens = {f"Vault's token {number}": one for number, one in enumerate(vault.tokens)}
    assert tokens, "the store's connection came from Vault"
    own = {"Vault's role": vault.role_id, "Vault's secret": vault.secret_id, **tokens}
    check_no_canary({**CANARIES, **own, **here.airflow.secrets()}, places(here))
    seen = set()
    for place, content in places(here):
        # What is no secret is there: this looks where things are written.
        if any(name.encode() in content for one in records for name in (one.run_id, one.run)):
            seen.add(place.partition(":")[0])
    assert seen >= {"service", "database", "store", "slack"}, seen
    bodies = dict(places(here))
    assert b"retrain-on-batch-" in bodies["batch"]
    assert b"retrain-on-kubernetes-" in bodies["kubernetes"]
    assert b"retrain-on-lambda-" in bodies["lambda"]
    logs = b"".join(content for place, content in places(here) if place.startswith("log"))
    assert logs.count(b"RETRAINING_STORE_OPTIONS") >= len(records), "environments were printed"
