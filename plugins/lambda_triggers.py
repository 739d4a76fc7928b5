"""A trigger that waits for an invocation of AWS Lambda, and shows its log meanwhile.

Lambda does not say what became of an asynchronous invocation. The job puts down when it starts, by
when it has ended at the latest, and how it ended; this notices that, and the operator in the worker
reads it again and judges.

Light at import: Airflow loads every plugin in each of its processes, tasks included.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from log_streams import LogStream, LogStreams
from trigger_support import AwsClients, first_line, object_is_there, read_object, refusal

GRACE_SECONDS = 60.0
"""How long after its last second a function is believed to have ended: two clocks may differ."""


class LambdaJobTrigger(BaseTrigger):
    """Fires when a step's result or the job's end is there, or when the job is overdue.

    Its event says why: `{"status": "result" | "ended" | "not_started" | "overdue"}`, or
    `{"status": "refused", "reason": sentence}`.
    """

    last_lines_seconds = 5.0
    """How long after a failure to read the log once more: lines arrive late, the last ones say
    why."""

    def __init__(
        self,
        *,
        started: str,
        ended: str,
        result: str | None,
        start_by: float,
        connection: str,
        poll_seconds: float,
    ) -> None:
        """Describe what to wait for.

        Args:
            started: address of the object that the job puts when it starts.
            ended: address of the object that it puts when it has ended.
            result: address of the step's result, None to wait for the end.
            start_by: Unix time by which the job must have started.
            connection: the Airflow connection that may read the job's log.
            poll_seconds: seconds between two checks.
        """
        super().__init__()
        self.started = started
        self.ended = ended
        self.result = result
        self.start_by = start_by
        self.connection = connection
        self.poll_seconds = poll_seconds
        self._ends_by: float | None = None
        """Unix time by which the job has ended, None until it has started."""
        self._stream: LogStream | None = None
        """Where the job's lines are, None until it has started."""
        self._said = ""
        self._warned: set[str] = set()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what another triggerer needs to go on."""
        fields = {
            "started": self.started,
            "ended": self.ended,
            "result": self.result,
            "start_by": self.start_by,
            "connection": self.connection,
            "poll_seconds": self.poll_seconds,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", fields

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll; an outage of the store must not end the wait."""
        payload: dict[str, str] | None = None
        lines = LogStreams(self)
        while payload is None:
            try:
                async with AwsClients(self.connection) as clients:
                    payload = await self._watch(clients, lines)
            except Exception as error:  # noqa: BLE001 the job runs on after any error
                if (reason := refusal(error)) is not None:
                    payload = {"status": "refused", "reason": reason}
                else:
                    self._log_line(f"cannot read the store now, trying again: {first_line(error)}")
                    await asyncio.sleep(self.poll_seconds)
        yield TriggerEvent(payload)

    async def _watch(self, clients: AwsClients, lines: LogStreams) -> dict[str, str]:
        """Poll until there is something to report."""
        while True:
            if self._ends_by is None:
                await self._find_the_start(clients)
            status = await self._status(clients)
            if self._stream is not None:
                await lines.show(self._stream, clients)
                if status == "ended" and await self._has_failed(clients):
                    await asyncio.sleep(self.last_lines_seconds)
                    await lines.show(self._stream, clients)
            if status is not None:
                return {"status": status}
            await asyncio.sleep(self.poll_seconds)

    async def _status(self, clients: AwsClients) -> str | None:
        """Return what there is to report, None for nothing."""
        if self.result is not None and await object_is_there(self.result, clients):
            return "result"
        if await object_is_there(self.ended, clients):
            return "ended"
        if self._ends_by is None:
            return "not_started" if time.time() > self.start_by else None
        return "overdue" if time.time() > self._ends_by + GRACE_SECONDS else None

    async def _find_the_start(self, clients: AwsClients) -> None:
        content = await read_object(self.started, clients)
        start = None if content is None else json.loads(content)
        if start is None or start["job"] is None:
            self._log_line("the function has not started the job yet")
            return
        self._ends_by = datetime.fromisoformat(start["ends_by"]).timestamp()
        group, _, stream = start["log"].partition(":")
        # A stream is that of an environment, which may have run other jobs before.
        at = datetime.fromisoformat(start["at"]).timestamp()
        self._stream = LogStream(group, stream, since_ms=int(at * 1000))
        self._log_line(f"the function runs the job; it ends by {start['ends_by']}")

    async def _has_failed(self, clients: AwsClients) -> bool:
        content = await read_object(self.ended, clients)
        return content is not None and json.loads(content)["exit_code"] != 0

    def warn_once(self, text: str) -> None:
        """Log a warning once."""
        if text not in self._warned:
            self.log.warning("%s", text)
            self._warned.add(text)

    def _log_line(self, text: str) -> None:
        """Log a sentence when it is news."""
        if text != self._said:
            self.log.info("%s", text)
            self._said = text
