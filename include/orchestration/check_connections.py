"""Whether Airflow has every connection that the models need, before a run finds out.

`python -m include.orchestration.check_connections`, with the settings of Airflow's servers, names
each one that is missing, where it is needed and how to make it, and each secret that could not be
masked or is a placeholder, and then exits with 1.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from include.orchestration.runtime.alert_connection import check_alerts
from include.orchestration.runtime.connections import BackendAnswer, query_backends
from include.orchestration.runtime.http_connection import http_address
from include.orchestration.runtime.store import STORE_CONNECTION, connection_options, store_address
from include.orchestration.runtime.weak_secrets import weak_fields
from include.retraining.config.alerts import DEFAULT_CONNECTION
from include.retraining.config.compute import RemoteCompute
from include.retraining.config.kubernetes_compute import KubernetesCompute
from include.retraining.config.model import MODELS_FOLDER, ModelConfig, load_model, model_names
from include.retraining.config.publish import Publish
from include.retraining.config.step_compute import LocalCompute
from include.retraining.exceptions import ConfigError, RetrainingError
from include.retraining.publishing.http_target import token_of
from include.retraining.publishing.webhook import secret_of

EVERY_MODEL = "every model"
# Done without: the role that AWS gives to the machine is taken, the pod's service account, and a
# bucket without a queue is listed.
QUEUE_CONNECTION = "delivery_events"
OPTIONAL = {"aws_default", "kubernetes_default", QUEUE_CONNECTION}
# The least that a connection of each kind must hold, as it is written in every backend.
EXAMPLES: dict[str, dict[str, Any]] = {
    "store": {"conn_type": "aws", "extra": {"uri": "s3://BUCKET/PREFIX", "region_name": "REGION"}},
    "alerts": {"conn_type": "slackwebhook", "password": "WEBHOOK"},
    "aws": {"conn_type": "aws", "extra": {"region_name": "REGION"}},
    "queue": {"conn_type": "aws", "extra": {"queue_url": "https://sqs.REGION.amazonaws.com/…"}},
    "kubernetes": {"conn_type": "kubernetes", "extra": {"in_cluster": True}},
    "mlflow": {"conn_type": "http", "host": "https://HOST", "password": "TOKEN"},
    "webhook": {"conn_type": "http", "host": "https://HOST/PATH", "password": "whsec_SECRET"},
    "place": {"conn_type": "aws", "extra": {"region_name": "REGION"}},
}


class RequiredConnection(NamedTuple):
    """A connection that something cannot do without."""

    conn_id: str
    kind: str
    """`store`, `queue`, `alerts`, `mlflow`, `webhook`, `place`, or the type that it must have."""
    place: str
    """The file and the field that name it."""


def needs(folder: Path = MODELS_FOLDER) -> dict[str, list[RequiredConnection]]:
    """Return what the models in ``folder`` need, by connection.

    Raises:
        ConfigError: when a model's YAML cannot be read.
    """
    by_connection: dict[str, list[RequiredConnection]] = {}
    for need in _all_needs(folder):
        by_connection.setdefault(need.conn_id, []).append(need)
    return by_connection


def _all_needs(folder: Path) -> Iterator[RequiredConnection]:
    yield RequiredConnection(STORE_CONNECTION, "store", EVERY_MODEL)
    yield RequiredConnection(DEFAULT_CONNECTION, "alerts", f"{EVERY_MODEL}, when its own fails")
    for name in model_names(folder):
        yield from _needs_of(load_model(name, folder), folder / f"{name}.yaml")


def _needs_of(config: ModelConfig, file: Path) -> Iterator[RequiredConnection]:
    where = f"include/models/{file.name}"
    yield RequiredConnection(config.alerts.connection, "alerts", f"{where}: alerts.connection")
    for kind, conn_id in config.alerts.by_kind.items():
        yield RequiredConnection(conn_id, "alerts", f"{where}: alerts.by_kind.{kind.value}")
    if config.trigger.on is not None and config.trigger.on.delivery:
        yield RequiredConnection(QUEUE_CONNECTION, "queue", f"{where}: trigger.on.delivery")
    for step, compute in config.compute:
        if isinstance(compute, RemoteCompute):
            kind_of = "kubernetes" if isinstance(compute, KubernetesCompute) else "aws"
            yield RequiredConnection(
                compute.connection, kind_of, f"{where}: compute.{step}.connection"
            )
    if config.publish is not None:
        for conn_id, kind_of, field in _published_by(config.publish):
            yield RequiredConnection(conn_id, kind_of, f"{where}: publish.{field}.connection")


def _published_by(publish: Publish) -> Iterator[tuple[str, str, str]]:
    """Yield the connections of the targets, what each must hold, and the target."""
    if publish.mlflow is not None:
        yield publish.mlflow.connection, "mlflow", "mlflow"
    if publish.pointer is not None and publish.pointer.connection is not None:
        yield publish.pointer.connection, "place", "pointer"
    if publish.webhook is not None:
        yield publish.webhook.connection, "webhook", "webhook"


def problems(needed: list[RequiredConnection], folder: Path = MODELS_FOLDER) -> list[str]:
    """Return what is wrong with a connection that is needed; nothing when it is as it must be."""
    conn_id, kind, _ = needed[0]
    answers = query_backends(conn_id)
    copies = [one for one in answers if one.connection is not None]
    said = [f"{one.place} did not answer ({one.problem})" for one in answers if one.problem]
    if not copies:
        if conn_id in OPTIONAL:
            return said
        looked = " and ".join(one.place for one in answers if not one.problem)
        return [*said, f"it is not in {looked}", f"to make it: {how_to_make(needed[0], answers)}"]
    if len(copies) > 1 and copies[0].place != "the environment":
        others = " and ".join(one.place for one in copies[1:])
        said.append(
            f"it is in {copies[0].place} and in {others} too: that copy would be used whenever "
            f"{copies[0].place} does not answer; remove it there"
        )
    connection = copies[0].connection
    return said + _wrong_content(kind, connection, folder) + weak_fields(connection)


def _wrong_content(kind: str, connection: Any, folder: Path) -> list[str]:
    if kind == "store":
        try:
            address = store_address(seconds=_longest_on_the_worker(folder))
        except RetrainingError as error:
            return [str(error)]
        return _unreachable(address.uri, folder)
    if kind in _CONTENT:
        return _refusal(_CONTENT[kind], connection)
    if connection.conn_type != kind:
        return [f"its type is {connection.conn_type!r}, must be {kind!r}"]
    return []


def _refusal(read: Callable[[Any], Any], connection: Any) -> list[str]:
    try:
        read(connection)
    except RetrainingError as error:
        return [str(error)]
    return []


def _check_mlflow(connection: Any) -> None:
    http_address(connection)
    if not connection.login and connection.password:
        token_of(connection.password)


def _check_webhook(connection: Any) -> None:
    http_address(connection)
    secret_of(connection.password)


def _check_queue(connection: Any) -> None:
    if connection.conn_type != "aws" or not connection.extra_dejson.get("queue_url"):
        raise ConfigError(
            "it names no queue: its type must be aws, and its extra must hold `queue_url`"
        )


_CONTENT: dict[str, Callable[[Any], Any]] = {
    "alerts": check_alerts,
    "queue": _check_queue,
    "mlflow": _check_mlflow,
    "webhook": _check_webhook,
    "place": connection_options,
}
"""What reads a connection of a kind, and raises what is wrong with it."""


def _longest_on_the_worker(folder: Path) -> float:
    """Return the most seconds that a job on the worker may take: it is given the store's keys."""
    models = (load_model(name, folder) for name in model_names(folder))
    return max(
        (
            compute.timeout_seconds
            for model in models
            for _, compute in model.compute
            if isinstance(compute, LocalCompute)
        ),
        default=0,
    )


def _unreachable(uri: str, folder: Path) -> list[str]:
    """Return what is wrong with a store on a disk for jobs that run elsewhere."""
    if not uri.startswith("file://"):
        return []
    fields = [
        f"include/models/{name}.yaml: compute.{step}"
        for name in model_names(folder)
        for step, compute in load_model(name, folder).compute
        if isinstance(compute, RemoteCompute)
    ]
    if not fields:
        return []
    problem = (
        f"{uri} is a folder of this machine, which jobs elsewhere do not see: name a bucket, or "
        f"run them with `backend: local` ({', '.join(fields)})"
    )
    return [problem]


def how_to_make(need: RequiredConnection, answers: list[BackendAnswer]) -> str:
    """Return the command or setting that makes a connection in the backend that is asked first."""
    value = json.dumps(EXAMPLES[need.kind])
    first = answers[0]
    backend = first.backend
    if first.place == "AWS Secrets Manager":
        name = f"{backend.connections_prefix}{backend.sep}{need.conn_id}"
        pattern = backend.connections_lookup_pattern
        # As the backend does it.
        if pattern and not re.match(pattern, need.conn_id, re.IGNORECASE):
            return (
                f"connections_lookup_pattern {pattern!r} leaves it out: let the pattern match "
                f"{need.conn_id!r}, and make the secret {name}"
            )
        return f"aws secretsmanager create-secret --name {name} --secret-string '{value}'"
    if first.place == "HashiCorp Vault":
        path = f"{(backend.connections_path or ['connections'])[0]}/{need.conn_id}"
        mount = f"-mount={backend.mount_point} " if backend.mount_point else ""
        return f"echo '{value}' | vault kv put {mount}{path} -"
    if first.place == "the environment":
        return (
            f"AIRFLOW_CONN_{need.conn_id.upper()}='{value}' in the environment of every Airflow "
            "process, or Admin → Connections in the UI"
        )
    return f"put {value} where {first.place} looks for {need.conn_id!r}"


def report(folder: Path = MODELS_FOLDER) -> tuple[str, bool]:
    """Return what people should read, and whether all is well.

    Raises:
        ConfigError: when a model's YAML cannot be read.
    """
    lines, are_well = [], True
    for conn_id, needed in needs(folder).items():
        wrong = problems(needed, folder)
        are_well = are_well and not wrong
        lines.append(f"{conn_id}: {'there' if not wrong else '; '.join(wrong)}")
        if wrong:
            lines += [f"  needed by {need.place}" for need in needed]
    return "\n".join(lines), are_well


def main() -> int:
    """Print the report and return 0 when all connections are there, else 1."""
    # As Airflow's servers do: connections that were made in the UI are found too.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    try:
        text, are_well = report()
    except RetrainingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    (sys.stdout if are_well else sys.stderr).write(f"{text}\n")
    return 0 if are_well else 1


if __name__ == "__main__":
    sys.exit(main())
