"""An AWS connection as the storage library's settings: whose keys, which region, which server.

Airflow's own hooks, such as the one by which the trigger reads the bucket, understand more than
keys: roles to assume, profiles, a server per service. Where the connection has such a field, the
provider gets the credentials here too, so that trigger, tasks and jobs ask with the same rights. A
field that this store would not follow is refused by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from airflow.sdk import Connection

from include.retraining.exceptions import ConfigError, StorageError

# Who asks: the provider turns these into credentials.
_WHO = (
    "assume_role_kwargs",
    "assume_role_method",
    "assume_role_with_saml",
    "assume_role_with_web_identity",
    "external_id",
    "profile_name",
    "role_arn",
    "session_kwargs",
)
_KEYS = {
    "aws_access_key_id": "AWS_ACCESS_KEY_ID",
    "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "aws_session_token": "AWS_SESSION_TOKEN",
}
_PLAIN = {"region_name": "AWS_REGION", "endpoint_url": "AWS_ENDPOINT_URL", **_KEYS}
_USED = frozenset({"uri", "options", "service_config", "config_kwargs", *_PLAIN, *_WHO})
# How patiently the provider's clients ask: nothing that changes what is asked, or of whom.
_PATIENCE = frozenset({
    "connect_timeout",
    "max_pool_connections",
    "read_timeout",
    "retries",
    "tcp_keepalive",
    "user_agent",
    "user_agent_appid",
    "user_agent_extra",
})
_S3 = frozenset({"addressing_style"})
_STYLES = {"path": "false", "virtual": "true"}
TOLERANCE_SECONDS = 60
"""Credentials are asked for at once before they are used."""


class _Who(NamedTuple):
    """What of a connection says who asks."""

    login: str | None
    password: str | None
    extra: str


def aws_options(connection: Connection, *, seconds: float = 0) -> dict[str, str]:
    """Return the settings by which the store of an AWS connection is opened.

    Args:
        connection: of type `aws`.
        seconds: how long the credentials must last; they are renewed in this process only.

    Raises:
        ConfigError: for a field that would not be followed, for a role or profile that is not to be
            had, and for credentials that end before.
        StorageError: when AWS does not answer who may ask.
    """
    extra = connection.extra_dejson
    unused = list(_unused(extra))
    if unused:
        raise ConfigError(
            f"the Airflow connection 'store': {', '.join(unused)}: not followed by the store, so "
            f"it would be opened otherwise than is said there; remove it. Known are "
            f"{', '.join(sorted(_USED))}"
        )
    options = {name: str(extra[field]) for field, name in _PLAIN.items() if extra.get(field)}
    if connection.login and connection.password:
        options["AWS_ACCESS_KEY_ID"] = connection.login
        options["AWS_SECRET_ACCESS_KEY"] = connection.password
    endpoint = _part(extra, "service_config", "s3").get("endpoint_url")
    if endpoint:
        options["AWS_ENDPOINT_URL"] = str(endpoint)
    style = _STYLES.get(str(_part(extra, "config_kwargs", "s3").get("addressing_style")))
    if style is not None:
        options["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] = style
    if any(extra.get(field) for field in _WHO):
        options |= _credentials(connection, seconds)
    options |= extra.get("options", {})
    if options.get("AWS_ENDPOINT_URL", "").startswith("http://"):
        options["AWS_ALLOW_HTTP"] = "true"
    return options


def _unused(extra: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields of an extra that are not supported here, by their paths."""
    yield from (f"extra.{name}" for name in sorted(set(extra) - _USED))
    for name in sorted(_part(extra, "service_config", "s3")):
        if name != "endpoint_url":
            yield f"extra.service_config.s3.{name}"
    for name, value in sorted(_part(extra, "config_kwargs").items()):
        if name == "s3":
            yield from (f"extra.config_kwargs.s3.{one}" for one in value if one not in _S3)
        elif name not in _PATIENCE and (name, value) != ("signature_version", "s3v4"):
            yield f"extra.config_kwargs.{name}"


def _part(extra: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return a mapping within an extra; an empty one where it is not given."""
    section = extra
    for name in path:
        part = section.get(name) or {}
        if isinstance(part, dict):
            section = part
        else:
            raise ConfigError(
                f"the Airflow connection 'store': extra.{'.'.join(path)} must be a mapping"
            )
    return section


def _credentials(connection: Connection, seconds: float) -> dict[str, str]:
    """Return the keys that the provider gets for a connection, and the region of its session."""
    who = _Who(connection.login, connection.password, connection.extra or "")
    role = connection.extra_dejson.get("role_arn")
    whose = f"of the role {role}" if role else "that its extra names"
    with _explaining_refusals(whose):
        session = _session(who)
        credentials = session.get_credentials()
        keys = None if credentials is None else credentials.get_frozen_credentials()
    if keys is None:
        raise ConfigError(f"the Airflow connection 'store': there are no credentials {whose}")
    ends_before = getattr(credentials, "refresh_needed", lambda refresh_in: False)  # noqa: ARG005
    if seconds > TOLERANCE_SECONDS and ends_before(refresh_in=seconds - TOLERANCE_SECONDS):
        raise ConfigError(
            f"the credentials {whose}, for the Airflow connection 'store', end before the "
            f"{seconds:g} s that a job on the worker may take: give the connection's "
            f'extra.assume_role_kwargs {{"DurationSeconds": {seconds:.0f}}} (the role must allow '
            "it), or lower compute.STEP.timeout_seconds"
        )
    options = {"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key}
    if keys.token:
        options["AWS_SESSION_TOKEN"] = keys.token
    if session.region_name:
        options["AWS_REGION"] = session.region_name
    return options


@contextmanager
def _explaining_refusals(whose: str) -> Iterator[None]:
    """Raise an error about credentials from AWS or botocore again, with the connection's name.

    Raises:
        ConfigError: when waiting does not change it.
        StorageError: when it may.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    try:
        yield
    except ClientError as error:
        raise ConfigError(
            f"the Airflow connection 'store': AWS refuses the credentials {whose}: "
            f"{error.response['Error']['Code']}"
        ) from error
    except (BotoCoreError, OSError) as error:
        wrong = type(error).__name__
        if wrong in {"ProfileNotFound", "PartialCredentialsError", "ParamValidationError"}:
            raise ConfigError(
                f"the Airflow connection 'store': the credentials {whose} are not to be had: "
                f"{wrong}"
            ) from error
        raise StorageError(
            f"the credentials {whose}, for the Airflow connection 'store', cannot be had now: "
            f"{wrong}"
        ) from error


@lru_cache(maxsize=4)
def _session(who: _Who) -> Any:
    """Return the provider's session, whose credentials renew themselves.

    Cached, because pages are requested often, and each assumed role costs a request.
    """
    from airflow.providers.amazon.aws.hooks.base_aws import SessionFactory
    from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper

    connection = Connection(
        conn_id="store",
        conn_type="aws",
        login=who.login,
        password=who.password,
        extra=who.extra,
    )
    return SessionFactory(conn=AwsConnectionWrapper(conn=connection)).create_session()
