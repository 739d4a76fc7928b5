"""A trigger that waits for a pod's end or for one result of it, whichever comes first.

A pod may run several steps, and the task of each waits for its own. The provider's trigger watches
the pod; beside it, this one checks for the step's result. It only notices: whether a result is
evidence is judged by the operator in the worker.

Light at import: Airflow loads every plugin in each of its processes, tasks included.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from trigger_support import AwsClients, first_line, object_is_there

if TYPE_CHECKING:
    from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger

RESULT = "result"
"""The status of an event for a result that is there."""
CANCEL_AGAIN_SECONDS = 1.0


class JobPodTrigger(BaseTrigger):
    """Fires as the provider's trigger does, or when a result is there.

    The event of the latter is `{"status": "result", "name": …, "namespace": …}`, with what the
    provider's events hold beside that.
    """

    def __init__(self, *, pod: dict[str, Any], result_uri: str, poll_seconds: float) -> None:
        """Describe what to watch.

        Args:
            pod: the fields of the provider's trigger.
            result_uri: address of the result. On a folder or on S3 it is watched, through the
                Airflow connection `store`; elsewhere the wait is for the pod's end.
            poll_seconds: seconds between two checks for the result.
        """
        super().__init__()
        self.pod = pod
        self.result_uri = result_uri
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what another triggerer needs to go on."""
        fields = {
            "pod": self.pod,
            "result_uri": self.result_uri,
            "poll_seconds": self.poll_seconds,
        }
        return f"{type(self).__module__}.{type(self).__qualname__}", fields

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for both, and leave nothing behind."""
        # First, and alone: the provider's watch, cancelled while it opens its configuration, leaves
        # a temporary file open.
        if await self._is_there():
            yield self._seen()
            return
        events = self._of_pod.run()
        ended = asyncio.ensure_future(anext(events))
        seen = asyncio.ensure_future(self._result())
        try:
            await asyncio.wait({ended, seen}, return_when=asyncio.FIRST_COMPLETED)
            yield ended.result() if ended.done() else self._seen()
        finally:
            await _cancel({ended, seen})
            await events.aclose()  # type: ignore[attr-defined] a generator, despite its type

    async def on_kill(self) -> None:
        """Delete the pod: someone has ended the task. A triggerer that restarts does not."""
        await self._of_pod.on_kill()

    @cached_property
    def _of_pod(self) -> KubernetesPodTrigger:
        from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger

        return KubernetesPodTrigger(**self.pod)

    def _seen(self) -> TriggerEvent:
        self.log.info("%s is there", self.result_uri)
        return TriggerEvent({
            "status": RESULT,
            "name": self._of_pod.pod_name,
            "namespace": self._of_pod.pod_namespace,
            "last_log_time": self._of_pod.last_log_time,
            **self._of_pod.trigger_kwargs,
        })

    async def _result(self) -> None:
        """Return once the result is there, which it was not a moment ago."""
        await asyncio.sleep(self.poll_seconds)
        while not await self._is_there():
            await asyncio.sleep(self.poll_seconds)

    async def _is_there(self) -> bool:
        """Check once; the pod's end comes in any case, so a failed check does not end the wait."""
        try:
            async with AwsClients() as clients:
                return await object_is_there(self.result_uri, clients)
        except Exception as error:  # noqa: BLE001 an outage must not end the wait
            self.log.info("cannot read %s now: %s", self.result_uri, first_line(error))
            return False


async def _cancel(tasks: set[asyncio.Future[Any]]) -> None:
    """Cancel tasks until they have ended.

    Once is not always enough: up to Python 3.11 `asyncio.wait_for`, which clients use, can lose a
    cancellation (https://github.com/python/cpython/issues/86296).
    """
    pending = tasks
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
