"""An alert in Slack for any other DAG of the team.

from include.orchestration.callbacks.slack_alert import SlackAlert

@dag(on_failure_callback=[SlackAlert(owner="scoring")], ...)
"""

from __future__ import annotations

from airflow.sdk import Context

from include.orchestration.callbacks.channels import send_through
from include.orchestration.callbacks.notifiers import PlainNotifier
from include.orchestration.runtime.errors import explained
from include.orchestration.runtime.urls import repository_url, run_url


class SlackAlert(PlainNotifier):
    """Notifies a Slack channel that a run, or a task of it, failed.

    As `on_failure_callback` of a DAG it sends one message for each run that fails, also when a
    process was killed; of a task, one for each task. The message is sent at once and once: what
    Slack does not take is in the log only, because another DAG has no outbox.
    """

    def __init__(
        self, *, owner: str | None = None, step: str | None = None, connection: str = "slack_alerts"
    ) -> None:
        """Notify one channel.

        Args:
            owner: the team that answers for the DAG.
            step: the one next step, in a sentence; by default to read the log and clear the task.
            connection: name of an Airflow connection, of any type in docs/alerts.md.
        """
        super().__init__()
        self.owner = owner
        self.step = step or "Read the log, fix the cause, then clear the failed task."
        self.connection = connection

    def notify(self, context: Context) -> None:
        """Send the message.

        Raises:
            NotSent: when Slack did not take it. Airflow logs it, and the run goes on.
        """
        from include.retraining.notifications.notice import Links, NoticeKind, alert

        dag, run_id, ti = context["dag"], context["run_id"], context.get("ti")
        task = "" if ti is None else f" in `{ti.task_id}`"
        exception = context.get("exception")
        if exception is not None:
            why = explained(exception)[1]
        else:
            why = str(context.get("reason") or "it ended without a word: it was killed")
        notice = alert(
            event="dag_failed",
            kind=NoticeKind.BROKEN,
            key=f"{dag.dag_id}.{run_id}.failed",
            title=getattr(dag, "dag_display_name", None) or dag.dag_id,
            model="",
            headline=f"the run failed{task}",
            why=why,
            step=self.step,
            owner=self.owner,
            serving=None,
            links=Links(
                run=run_url(dag.dag_id, run_id),
                log=getattr(ti, "log_url", None),
                repository=repository_url(context),
            ),
            runbook="",
        )
        send_through(notice, [self.connection])
