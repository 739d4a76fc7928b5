"""Tests of the look at the connections before a run needs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.orchestration.check_connections import needs, report
from tests.support.airflow_settings import Settings, secrets_manager
from tests.support.backend_models import everywhere, on_batch, on_kubernetes, on_lambda
from tests.support.repository_copy import add_model, copy_repository
from tests.support.vault_server import vault_server

STORE = {"conn_type": "generic", "extra": {"uri": "s3://bucket/prefix"}}
SLACK = {"conn_type": "slackwebhook", "password": "T0000/B0000/X"}
BATCH = {"conn_type": "aws", "extra": {"region_name": "eu-west-3"}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some models: one as it ships, one on AWS Batch with a channel of its own, one in a pod."""
    root = copy_repository(tmp_path_factory.mktemp("repository"))
    models = root / "include" / "models"
    for file in models.glob("*.yaml"):
        if file.stem != "diabetes_progression":
            file.unlink()
    channel = {"alerts": {"by_kind": {"broken": "slack_urgent"}}}
    add_model(root, "on_batch", values={**everywhere(on_batch(connection="batch")), **channel})
    add_model(root, "by_event", values={"trigger": {"on": {"delivery": True}}})
    add_model(root, "in_a_pod", values=everywhere(on_kubernetes()))
    add_model(root, "in_a_function", values=everywhere(on_lambda(connection="batch")))
    return models


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """This process's Airflow."""
    settings = Settings(monkeypatch)
    yield settings
    settings.set({})


def variables(**connections: Any) -> dict[str, str]:
    """Return connections as variables of the environment."""
    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(one) for name, one in connections.items()}


def test_what_is_needed_is_read_from_the_models(folder: Path) -> None:
    """With the file and the field that name it."""
    places = {conn_id: [one.place for one in found] for conn_id, found in needs(folder).items()}
    assert list(places)[:2] == ["store", "slack_alerts"]
    named = {"slack_urgent", "kubernetes_default", "batch", "delivery_events"}
    assert set(places) == {"store", "slack_alerts", *named}
    assert places["delivery_events"] == ["include/models/by_event.yaml: trigger.on.delivery"]
    assert "include/models/in_a_function.yaml: compute.train_model.connection" in places["batch"]
    assert places["slack_urgent"] == ["include/models/on_batch.yaml: alerts.by_kind.broken"]
    assert "include/models/on_batch.yaml: compute.train_model.connection" in places["batch"]


def test_all_there_is_well(folder: Path, airflow: Settings) -> None:
    """The pod's own account needs no connection, nor does a bucket that is listed."""
    airflow.set(variables(store=STORE, slack_alerts=SLACK, slack_urgent=SLACK, batch=BATCH))
    text, are_well = report(folder)
    assert are_well, text
    assert text.splitlines() == [f"{conn_id}: there" for conn_id in needs(folder)]


def test_a_store_on_a_disk_is_told_where_jobs_run_elsewhere(
    folder: Path, airflow: Settings
) -> None:
    """A job on AWS Batch or in a pod sees no folder of this machine."""
    disk = {"conn_type": "generic", "extra": {"uri": "file:///srv/store"}}
    airflow.set(variables(store=disk, slack_alerts=SLACK, slack_urgent=SLACK, batch=BATCH))
    text, are_well = report(folder)
    assert not are_well
    assert "file:///srv/store is a folder of this machine" in text
    assert "include/models/in_a_pod.yaml: compute.train_model" in text
    assert "diabetes_progression" not in text.partition("needed by")[0]


def test_what_is_missing_is_named_with_its_place_and_how_to_make_it(
    folder: Path, airflow: Settings
) -> None:
    """One line says what to do, the next where it is needed."""
    airflow.set(variables(slack_alerts=SLACK, batch=BATCH))
    text, are_well = report(folder)
    assert not are_well
    lines = text.splitlines()
    store = next(line for line in lines if line.startswith("store: "))
    assert store.startswith(
        "store: it is not in the environment; to make it: "
        'AIRFLOW_CONN_STORE=\'{"conn_type": "aws", "extra": {"uri": "s3://BUCKET/PREFIX"'
    )
    urgent = lines.index(next(line for line in lines if line.startswith("slack_urgent: ")))
    assert lines[urgent + 1] == "  needed by include/models/on_batch.yaml: alerts.by_kind.broken"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"store": {"conn_type": "generic"}}, "store: the Airflow connection 'store' names no"),
        ({"slack_urgent": {**SLACK, "conn_type": "ssh"}}, "its type is 'ssh', must be one of 'sl"),
        ({"slack_urgent": {"conn_type": "slackwebhook"}}, "slack_urgent: it has no password"),
        (
            {"slack_urgent": {"conn_type": "slack", "password": "xoxb"}},
            "it has no extra.channel: that is where the channel's id (C…) belongs",
        ),
        (
            {"slack_urgent": {"conn_type": "pagerduty_events"}},
            "it has no password: that is where the service's integration key belongs",
        ),
        (
            {"slack_urgent": {"conn_type": "smtp", "host": "mail", "extra": {"to": "a@b"}}},
            "it has no extra.from_email: that is where the sender's address belongs",
        ),
        ({"slack_urgent": {"conn_type": "http"}}, "it has no host: that is where the receiver's"),
        ({"delivery_events": BATCH}, "delivery_events: it names no queue: its type must be aws"),
        ({"batch": SLACK}, "batch: its type is 'slackwebhook', must be 'aws'"),
    ],
)
def test_a_connection_of_no_use_is_named(
    given: dict[str, Any], says: str, folder: Path, airflow: Settings
) -> None:
    """That one is there does not mean that it is the right one."""
    good = {"store": STORE, "slack_alerts": SLACK, "slack_urgent": SLACK, "batch": BATCH}
    airflow.set(variables(**{**good, **given}))
    text, are_well = report(folder)
    assert not are_well
    assert says in text


@pytest.mark.fault("L04")
def test_vault_says_how_and_tells_of_copies(folder: Path, airflow: Settings) -> None:
    """A copy elsewhere would be used, silently, whenever Vault refuses: it must go."""
    with vault_server("airflow") as vault:
        vault.kv = {"connections/store": STORE, "connections/slack_alerts": SLACK}
        airflow.set({**vault.settings(), **variables(store=STORE)})
        text, are_well = report(folder)
        assert not are_well
        assert (
            "store: it is in HashiCorp Vault and in the environment too: that copy would be used "
            "whenever HashiCorp Vault does not answer; remove it there" in text
        )
        assert "slack_alerts: there" in text
        assert "| vault kv put -mount=airflow connections/batch -" in text
        vault.policy = ()
        text, are_well = report(folder)
        assert not are_well
        assert "store: HashiCorp Vault did not answer (Forbidden)" in text


def test_aws_says_how_and_what_its_pattern_leaves_out(
    folder: Path, airflow: Settings, s3_endpoint: str
) -> None:
    """The command with the secret's full name, or the pattern that must be widened first."""
    airflow.set(secrets_manager(s3_endpoint, "here/connections"))
    text, _ = report(folder)
    assert "aws secretsmanager create-secret --name here/connections/store --secret" in text
    assert (
        "connections_lookup_pattern '^(store|slack_.*)$' leaves it out: let the pattern match "
        "'batch', and make the secret here/connections/batch" in text
    )


def test_the_command_ends_with_1_and_finds_what_the_ui_made(tmp_path: Path) -> None:
    """It asks as Airflow's servers do, so also the database; without one it says so."""
    root = Path(__file__).resolve().parents[3]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW_")}
    ended = subprocess.run(
        [sys.executable, "-m", "include.orchestration.check_connections"],
        cwd=root,
        env={**kept, "AIRFLOW_HOME": str(tmp_path), **variables(store=STORE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 1, ended.stderr
    assert "store: Airflow's database did not answer (OperationalError)" in ended.stderr


@pytest.fixture(scope="module")
def publishing_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is published to every kind of target."""
    root = copy_repository(tmp_path_factory.mktemp("repository"))
    for file in (root / "include" / "models").glob("*.yaml"):
        if file.stem != "diabetes_progression":
            file.unlink()
    pointer = {"address": "s3://bucket/champion.json", "connection": "bucket"}
    values = {"publish": {"mlflow": {}, "pointer": pointer, "webhook": {}}}
    add_model(root, "published", values=values)
    return root / "include" / "models"


def test_what_targets_need_is_checked_too(publishing_models: Path, airflow: Settings) -> None:
    """With how to make what is missing, and without showing a secret."""
    secret = "whsec_c2hvcnQ="
    made = {
        "store": STORE,
        "slack_alerts": SLACK,
        "bucket": {"conn_type": "aws", "extra": {"unknown_field": "x"}},
        "webhook": {"conn_type": "http", "host": "https://host", "password": secret},
    }
    airflow.set(variables(**made))
    text, is_well = report(publishing_models)
    assert not is_well
    assert "include/models/published.yaml: publish.mlflow.connection" in text
    assert '"conn_type": "http", "host": "https://HOST", "password": "TOKEN"' in text
    assert "its password must be whsec_ and at least 24 random bytes" in text
    assert "unknown_field" in text
    assert secret not in text


def test_passwords_that_cannot_be_sent_are_said_and_not_shown(
    publishing_models: Path, airflow: Settings
) -> None:
    """One with letters beyond ASCII is no secret that signs, and no token."""
    password = "whsec_geheimnisüäö"
    server = {"conn_type": "http", "host": "https://host", "password": password}
    made = {"store": STORE, "slack_alerts": SLACK, "mlflow": server, "webhook": server}
    airflow.set(variables(**made))
    text, is_well = report(publishing_models)
    assert not is_well
    assert "mlflow: its password is a token" in text
    assert "webhook: its password must be whsec_" in text
    assert password not in text
