"""The notice that a DAG failed which is about no single model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Context

from include.orchestration.runtime.errors import explained
from include.orchestration.runtime.urls import repository_url, run_url

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Notice


def failure_alert(
    context: Context, *, event: str, key: str, title: str, headline: str, step: str
) -> Notice:
    """Return the notice that a run failed, with its cause and where to look.

    Args:
        context: what a callback is given.
        event: the notice's event, which is the name of its runbook too.
        key: what one notice is sent for: a run's id, or a day.
        title: the DAG's name, for people.
        headline: what happened.
        step: the one next step.
    """
    from include.retraining.notifications.notice import Links, NoticeKind, alert

    dag_id, ti, exception = context["dag"].dag_id, context.get("ti"), context.get("exception")
    what = "the run" if ti is None else f"`{ti.task_id}`"
    why = f"{what} ended without saying why" if exception is None else explained(exception)[1]
    return alert(
        event=event,
        kind=NoticeKind.BROKEN,
        key=f"{dag_id}.{key}.{event}",
        title=title,
        model="",
        headline=headline,
        why=why,
        step=step,
        owner=None,
        serving=None,
        links=Links(
            run=run_url(dag_id, context["run_id"]),
            log=getattr(ti, "log_url", None),
            repository=repository_url(context),
        ),
        runbook=event,
    )
