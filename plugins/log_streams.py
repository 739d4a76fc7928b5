"""Shows the streams of CloudWatch's logs in the log of a task that waits.

Light at import: Airflow loads every plugin in each of its processes, tasks included.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from trigger_support import AwsClients, first_line, refusal


class LogStream(NamedTuple):
    """Where a job's lines are."""

    group: str
    name: str
    since_ms: int = 0
    """From when on its lines are the job's, in milliseconds since 1970."""


class Waits(Protocol):
    """A trigger that waits for a job."""

    log: Any

    def warn_once(self, text: str) -> None:
        """Log a warning once."""


class LogStreams:
    """Shows lines as they come; that it cannot is never the job's failure."""

    def __init__(self, trigger: Waits) -> None:
        """Show lines in the log of a trigger's task."""
        self._trigger = trigger
        self._tokens: dict[LogStream, str] = {}
        """How far each stream was shown."""
        self._is_refused = False

    async def show(self, stream: LogStream, clients: AwsClients) -> None:
        """Show what is new in a stream."""
        if self._is_refused:
            return
        try:
            await self._show_news(stream, await clients.logs())
        except Exception as error:  # noqa: BLE001 the job is what counts
            from botocore.exceptions import ClientError

            if isinstance(error, ClientError):
                if error.response["Error"]["Code"] == "ResourceNotFoundException":
                    return  # no line was sent yet
                self._is_refused = refusal(error) is not None
            self._trigger.warn_once(f"cannot read the job's log: {first_line(error)}")

    async def _show_news(self, stream: LogStream, client: Any) -> None:
        while True:
            token = self._tokens.get(stream)
            more = {} if token is None else {"nextToken": token}
            page = await client.get_log_events(
                logGroupName=stream.group,
                logStreamName=stream.name,
                startTime=stream.since_ms,
                startFromHead=True,
                **more,
            )
            for event in page["events"]:
                self._trigger.log.info("%s", event["message"].rstrip("\n"))
            self._tokens[stream] = page["nextForwardToken"]
            # An empty page is not the end; the same token again is.
            if page["nextForwardToken"] == token:
                return
