"""Ask for approval of a version that passed every gate, and go where the answer leads.

The task waits in Airflow's state `awaiting_input`, which holds no worker and no triggerer. Whether
the answer counts is decided when its version is promoted: `include/retraining/approval/answer.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLBranchOperator
from airflow.sdk import Context, Param

from include.orchestration.callbacks.send import deliver_notice
from include.orchestration.operators.branching import LeadsOn
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.run_reference import attempt_id, run_reference
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.urls import answer_url, repository_url, run_url
from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import ParameterError

if TYPE_CHECKING:
    from include.retraining.approval.answer import Approval
    from include.retraining.notifications.notice import Links

APPROVE = "Approve"
REJECT = "Reject"
NOTE = "note"
NOTE_LENGTH = 500


class ApprovePromotionOperator(LeadsOn, HITLBranchOperator):
    """Shows the evidence, waits for Approve or Reject, and keeps the answer in the store.

    No answer in time is a Reject. A dry run needs no approval: it cannot promote. The answer is no
    permission by itself: the promotion reads it from the store and checks it against the verdict.
    """

    # The evidence comes from data and configuration: nothing in it is ever taken for a template.
    template_fields: Collection[str] = ()

    def __init__(
        self, *, config: ModelConfig, when_approved: str, when_rejected: str, **kwargs: Any
    ) -> None:
        """Ask about the versions of one model.

        Args:
            config: the model's.
            when_approved: id of the task that comes next after Approve.
            when_rejected: id of the task that comes next after Reject, or without an answer.
            kwargs: of any operator.
        """
        kwargs.pop("params", None)  # the trigger form's, where a DAG hands it to every task
        super().__init__(
            subject=f"{config.title}: promote the new version?",
            options=[APPROVE, REJECT],
            defaults=REJECT,
            options_mapping={APPROVE: when_approved, REJECT: when_rejected},
            response_timeout=timedelta(hours=config.approval_hours),
            # Optional in the form: with a required field Airflow 3.3.2 could not let the question
            # expire, whose default answer leaves the form empty.
            params={
                NOTE: Param(
                    None,
                    type=["null", "string"],
                    format="multiline",
                    title="Note",
                    description="Why, without secrets: all who see the run can read it. An "
                    "approval without a note does not count.",
                    source="task",
                )
            },
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        """Ask, notify people of where to answer, and wait; or go on where the answer is known."""
        from include.retraining.approval.answer import find_answer
        from include.retraining.decisions.evidence import judged_evidence
        from include.retraining.notifications.approval_request import ask, question_notice

        with fail_permanent_errors():
            assert_own_bundle(context)
            store, run = open_store(), run_reference(context)
            evidence = judged_evidence(store, run)
            if evidence.manifest.params.dry_run:
                self.log.info("dry run: no approval is needed, and nothing will be promoted")
                return self.do_branch(context, [self.options_mapping[APPROVE]])
            # Of this clear only: who clears this task wants to be asked again.
            given = find_answer(store, evidence.paths, run.clear)
            if given is not None:  # an earlier try ended after it had kept the answer
                self.log.info("answered before: %s", _words(given))
                return self.do_branch(context, [self.options_mapping[_option(given)]])
            question = ask(store, run, evidence, expires_at=datetime.now(UTC) + self._patience)
        self.subject = question.subject
        self.body = question.body(_view_url(context))
        links = _links(context, self.task_id)
        notice = question_notice(question, links, attempt=attempt_id(context))
        # Told once the question is there, which is why Airflow has to do it.
        self.notifiers = [lambda _: deliver_notice(store, notice)]  # type: ignore[list-item]
        self.log.info("%s\n%s\n%s", question.subject, links.page, self.body)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Keep the answer, and go where it leads."""
        from include.retraining.approval.answer import Approval, write_approval
        from include.retraining.decisions.evidence import judged_evidence

        if "error" in event:
            return super().execute_complete(context, event)
        with fail_permanent_errors():
            assert_own_bundle(context)
            note = _note(event.get("params_input"))
            store, run = open_store(), run_reference(context)
            evidence = judged_evidence(store, run)
            answer = Approval(
                run_id=run.run_id,
                clear=run.clear,
                verdict_digest=evidence.verdict.content_digest,
                choice="approve" if event["chosen_options"] == [APPROVE] else "reject",
                by=_name(event.get("responded_by_user")),
                note=note,
                answered_at=event["responded_at"],
            )
            kept = write_approval(store, evidence.paths, answer)
        self.log.info("%s", _words(kept))
        # What else a form held does not matter, and must not fail the task.
        kept_event = {**event, "chosen_options": [_option(kept)], "params_input": {NOTE: kept.note}}
        return super().execute_complete(context, kept_event)

    @property
    def _patience(self) -> timedelta:
        return self.response_timeout or timedelta(0)


def _option(answer: Approval) -> str:
    return APPROVE if answer.choice == "approve" else REJECT


def _words(answer: Approval) -> str:
    who = answer.by or "nobody answered in time"
    return f"{answer.choice}: {who}: {answer.note or 'no note'}"


def _note(form: Any) -> str | None:
    """Return the note of a form, on one line, or None when it holds none.

    Raises:
        ParameterError: when it holds what looks like a secret: nothing of it is kept.
    """
    from include.retraining.approval.reason import NO_SECRETS, looks_secret
    from include.retraining.formatting.text import truncate

    text = form.get(NOTE) if isinstance(form, dict) else None
    if not isinstance(text, str):
        return None
    if looks_secret(text):
        raise ParameterError(
            f"note: the answer does not count; {NO_SECRETS}. Clear `approve_promotion` to be "
            "asked again"
        )
    return truncate(text, NOTE_LENGTH) or None


def _name(user: Any) -> str | None:
    """Return who answered: name and id, for a name alone may be that of two people."""
    if not user:
        return None
    name, known_as = str(user["name"]), str(user["id"])
    return name if name == known_as else f"{name} ({known_as})"


def _links(context: Context, task_id: str) -> Links:
    """Return where the message takes its reader: to the page on which to answer, above all."""
    from include.retraining.notifications.notice import Links

    dag_id, run_id = context["dag"].dag_id, context["run_id"]
    return Links(
        run=run_url(dag_id, run_id),
        log=getattr(context["ti"], "log_url", None),
        page=answer_url(dag_id, run_id, task_id),
        repository=repository_url(context),
    )


def _view_url(context: Context) -> str | None:
    """Return where a commit of this bundle can be viewed, with `{version}` for the commit."""
    bundle = getattr(context["ti"], "bundle_instance", None)
    find = getattr(bundle, "view_url_template", None)
    return None if find is None else find()
