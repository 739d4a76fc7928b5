"""What we ask of AWS Lambda, through an Airflow connection and the provider's hook.

It imports the Amazon provider and botocore at module level: it is imported when a task executes and
never by a DAG file.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.providers.amazon.aws.hooks.lambda_function import LambdaHook
from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from include.orchestration.backends.aws_service import POLL_SECONDS, AwsService, is_throttled
from include.orchestration.backends.failure import SubmissionLost
from include.orchestration.backends.remote_step import RemoteStep
from include.orchestration.backends.thread_limits import thread_limits
from include.retraining.config.lambda_compute import LambdaCompute
from include.retraining.exceptions import ConfigError
from include.retraining.steps.lambda_handler import Invocation

if TYPE_CHECKING:
    from include.retraining.runs.claims import JobClaim

log = logging.getLogger(__name__)

THROTTLED_SECONDS = 60.0
"""How long to send an invocation again that Lambda refused for the moment."""
NOT_FOUND = "ResourceNotFoundException"


class LambdaClient:
    """AWS Lambda in the account and region of a connection.

    Raises in all its methods:
        ConfigError: when the connection may not do this, or names no region.
        InfrastructureError: when AWS does not answer.
    """

    def __init__(self, compute: LambdaCompute) -> None:
        """Use the connection and the function of a step's compute."""
        self.compute = compute
        self._aws = AwsService("AWS Lambda", LambdaHook(aws_conn_id=compute.connection))

    def check_function(self) -> str:
        """Make sure that the published version is what the model says, and return its log group.

        A published version never changes; Lambda runs it again after an error unless it is told
        not to, and no second run could do anything under the same claim.

        Raises:
            ConfigError: when it does not exist, or has another image, memory or timeout, or would
                be run again.
        """
        name, version = self.compute.function_name, self.compute.version
        answer = self._aws.ask("get_function", FunctionName=name, Qualifier=version)
        function = answer["Configuration"]
        for problem in _differences(self.compute, function, answer.get("Code", {})):
            raise ConfigError(f"the function {self.compute.function} {self._aws.where}: {problem}")
        self._check_retries()
        log.info("the function %s: CodeSha256 %s", self.compute.function, function["CodeSha256"])
        group = function.get("LoggingConfig", {}).get("LogGroup")
        return str(group or f"/aws/lambda/{function['FunctionName']}")

    def invoke(self, step: RemoteStep, claim: JobClaim) -> str:
        """Invoke the function for a claimed job and return the request's id.

        An asynchronous invocation has no idempotency token and cannot be looked up: it is sent
        once.

        Raises:
            ConfigError: when Lambda refuses it.
            SubmissionLost: when it may have been accepted or not.
        """
        request = {
            "FunctionName": self.compute.function_name,
            "Qualifier": self.compute.version,
            "InvocationType": "Event",
            "Payload": invocation(step, claim, self.compute).to_bytes(),
        }
        deadline = time.monotonic() + THROTTLED_SECONDS
        while True:
            try:
                answer = self._aws.client.invoke(**request)
                return str(answer["ResponseMetadata"]["RequestId"])
            except (BotoCoreError, ClientError) as error:
                core_error = self._aws.core_error(error)
                if core_error.is_permanent:
                    raise core_error from error
                if not is_throttled(error):
                    raise SubmissionLost(
                        f"AWS Lambda did not answer when {claim.name} was invoked: {core_error}"
                    ) from error
                if time.monotonic() > deadline:
                    raise core_error from error
                time.sleep(POLL_SECONDS)  # refused before it was accepted: there is no job

    def log_page(self, group: str, *, request_id: str) -> str:
        """Return the page in AWS's console with the lines of a log group that name a request."""
        pattern = _for_console(f'"{request_id}"')
        return f"{self._console(group)}/log-events$3FfilterPattern$3D{pattern}"

    def stream_page(self, group: str, stream: str) -> str:
        """Return the page in AWS's console of one stream of a log group."""
        return f"{self._console(group)}/log-events/{_for_console(stream)}"

    def _check_retries(self) -> None:
        name, version = self.compute.function_name, self.compute.version
        try:
            invoke_config = self._aws.ask(
                "get_function_event_invoke_config", FunctionName=name, Qualifier=version
            )
        except ConfigError as error:
            if not _is_missing(error.__cause__):
                raise
            invoke_config = {}
        retries = invoke_config.get("MaximumRetryAttempts")
        if retries != 0:
            has = "the default, 2" if retries is None else retries
            raise ConfigError(
                f"the function {self.compute.function} {self._aws.where}: its MaximumRetryAttempts "
                f"is {has}: Lambda would start a job again that it ended; set it to 0: aws lambda "
                f"put-function-event-invoke-config --function-name {name} --qualifier {version} "
                "--maximum-retry-attempts 0"
            )

    def _console(self, group: str) -> str:
        region, partition = self._aws.client.meta.region_name, self._aws.client.meta.partition
        page = BASE_AWS_CONSOLE_LINK.format(aws_domain=BaseAwsLink.get_aws_domain(partition))
        where = f"#logsV2:log-groups/log-group/{_for_console(group)}"
        return f"{page}/cloudwatch/home?region={region}{where}"


def invocation(step: RemoteStep, claim: JobClaim, compute: LambdaCompute) -> Invocation:
    """Return what a function is invoked with. No secret is in it: its role opens the store."""
    return Invocation(
        name=claim.name,
        steps=claim.steps,
        run=step.run_uri,
        attempt=claim.attempt_id,
        claim=claim.number,
        timeout_seconds=compute.timeout_seconds,
        environment=thread_limits(compute),
    )


def _differences(
    compute: LambdaCompute, function: dict[str, Any], code: dict[str, Any]
) -> list[str]:
    """Return in which points a published version is not what the model says."""
    differences = []
    images = {code.get("ImageUri"), code.get("ResolvedImageUri")} - {None}
    if compute.image not in images:
        runs = code.get("ResolvedImageUri") or code.get("ImageUri") or "no image"
        differences.append(
            f"it runs {runs}, the model names {compute.image}: publish a version with that image "
            "and name it, or name that image"
        )
    if function["MemorySize"] != compute.memory_mib:
        differences.append(
            f"it has {function['MemorySize']}MiB of memory, the model says {compute.memory}: "
            "publish a version with as much and name it, or correct the model"
        )
    if function["Timeout"] < compute.timeout_seconds:
        differences.append(
            f"its timeout is {function['Timeout']} s, the model's timeout_seconds "
            f"{compute.timeout_seconds:g}: publish a version with a longer one and name it, or "
            "lower the model's"
        )
    if function.get("State") == "Failed":
        differences.append(
            f"its state is Failed: {function.get('StateReason', 'no reason is given')}"
        )
    return differences


def _is_missing(error: BaseException | None) -> bool:
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == NOT_FOUND


def _for_console(text: str) -> str:
    """Quote a part of an address behind the hash as CloudWatch's console does: twice."""
    return quote(text, safe="").replace("%", "$25")
