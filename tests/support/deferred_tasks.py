"""A task that defers, run to its end as Airflow runs it: in new objects, from what was stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import BaseTrigger


def event_of(trigger: BaseTrigger) -> dict[str, Any]:
    """Return what a trigger fires, made anew from its fields as in the triggerer."""
    _, fields = trigger.serialize()

    async def first() -> Any:
        events = type(trigger)(**fields).run()
        try:
            return (await asyncio.wait_for(anext(events), 60)).payload
        finally:
            await events.aclose()  # type: ignore[attr-defined]

    event: dict[str, Any] = json.loads(json.dumps(asyncio.run(first()), default=str))
    return event


def deferred(task: BaseOperator, context: Any) -> TaskDeferred:
    """Start a task and return what it waits for."""
    with pytest.raises(TaskDeferred) as error:
        task.execute(context)
    return error.value


def resume(
    wait: TaskDeferred, make: Callable[[], Any], context: dict[str, Any], event: dict[str, Any]
) -> None:
    """Go on as a worker does: another process, with the arguments that Airflow stored."""
    arguments = json.loads(json.dumps(wait.kwargs or {}))
    make().resume_execution(wait.method_name, {**arguments, "event": event}, context)


def finish(wait: TaskDeferred, make: Callable[[], Any], context: dict[str, Any]) -> None:
    """Wait as the triggerer does, and go on as a worker does, until the task has ended."""
    while True:
        event = event_of(wait.trigger)
        try:
            return resume(wait, make, context, event)
        except TaskDeferred as again:
            wait = again


def run(make: Callable[[], Any], context: dict[str, Any]) -> None:
    """Run a task to its end."""
    try:
        make().execute(context)
    except TaskDeferred as wait:
        finish(wait, make, context)
