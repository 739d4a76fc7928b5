"""Which events started a run, from what Airflow hands to a task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from typing import Any

from airflow.sdk import Asset, Context

RECENT_EVENTS = 100
EVENT = "asset_triggered"
"""Airflow's type of a run that assets started."""
CLOCK = "scheduled"
"""Airflow's type of a run that the schedule started."""


def delivery_asset_name(model: str) -> str:
    """Return the name of the asset whose events say that a model's flag landed."""
    return f"{model}_delivery"


def run_type(dag_run: Any) -> str:
    """Return what started a run: `EVENT`, `CLOCK`, or another type of Airflow's."""
    return str(getattr(dag_run.run_type, "value", dag_run.run_type))


def announced_days(context: Context, model: str) -> Iterator[date]:
    """Yield the days of the flags that landed last, where a flag's address has a day.

    A flag may land after midnight. Of those that landed while another run was active Airflow hands
    over the first only, so all are asked for; the task must have the asset as an inlet. Those from
    before what started the run are of other runs.
    """
    started = _started_at(context)
    events = context["inlet_events"][Asset(delivery_asset_name(model))]
    for event in events.ascending(False).limit(RECENT_EVENTS):
        if started is not None and event.timestamp < started:
            return
        payload = (event.extra or {}).get("payload")
        day = payload.get("date") if isinstance(payload, dict) else None
        if isinstance(day, str):
            with suppress(ValueError):  # no day of any calendar: no flag of ours
                yield date.fromisoformat(day)


def _started_at(context: Context) -> datetime | None:
    """Return when the first of the events came that started the run; None when none is known."""
    updated = context.get("triggering_asset_events") or {}
    times = [event.timestamp for asset in updated for event in updated[asset]]
    return min(times, default=None)
