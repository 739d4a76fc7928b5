"""A service of AWS, asked through an Airflow connection: once what acts, again what only reads.

Imports botocore at module level: it is imported when a task executes and never by a DAG file.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.config import Config  # type: ignore[import-untyped]
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from trigger_support import refusal  # type: ignore[import-not-found]

from include.orchestration.backends.failure import one_line
from include.retraining.exceptions import ConfigError, InfrastructureError, RetrainingError

POLL_SECONDS = 1.0
"""Between two checks, or two tries."""
THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling"})
TRIES = 3
"""How often to ask a question that AWS does not answer."""


class AwsService:
    """One service in the account and region of a connection."""

    def __init__(self, name: str, hook: AwsBaseHook) -> None:
        """Use a hook of the provider; ``name`` is what messages call the service."""
        self.hook = hook
        self._name = name

    @cached_property
    def client(self) -> Any:
        """The service's client.

        Raises:
            ConfigError: when the connection names no region.
        """
        # Merged, so that proxies and the like from the connection stay. Tried once: boto's own
        # retries would submit a job twice.
        config = self.hook.config.merge(
            Config(connect_timeout=10, read_timeout=30, retries={"total_max_attempts": 1})
        )
        try:
            return self.hook.get_client_type(region_name=self.hook.region_name, config=config)
        except BotoCoreError as error:
            raise self.core_error(error) from error

    def ask(self, operation: str, **request: Any) -> Any:
        """Ask what may be asked twice.

        Raises:
            ConfigError: when the connection may not do this, or AWS refuses it.
            InfrastructureError: when AWS does not answer.
        """
        for left in reversed(range(TRIES)):
            try:
                return getattr(self.client, operation)(**request)
            except (BotoCoreError, ClientError) as error:
                core_error = self.core_error(error)
                if core_error.is_permanent or not left:
                    raise core_error from error
                time.sleep(POLL_SECONDS)
        raise AssertionError("the last try returns or raises")

    def core_error(self, error: Exception) -> RetrainingError:
        """Return the core's error for one of AWS: permanent, or worth another try."""
        text = f"{self._name} {self.where}: {one_line(error)}"
        is_answer = isinstance(error, ClientError) and _status(error) < 500
        if refusal(error) is not None or (is_answer and not is_throttled(error)):
            return ConfigError(text)
        return InfrastructureError(text)

    @property
    def where(self) -> str:
        """The connection and the region, for messages."""
        return f"(connection {self.hook.aws_conn_id}, region {self.hook.region_name})"


def is_throttled(error: Exception) -> bool:
    """Return whether AWS refused a request only for the moment."""
    return isinstance(error, ClientError) and (
        error.response["Error"]["Code"] in THROTTLED or _status(error) == 429
    )


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
