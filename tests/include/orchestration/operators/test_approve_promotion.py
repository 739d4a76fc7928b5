"""Tests of the task that asks a person, without an Airflow: what it asks, and what it keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, Context
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.operators.approve_promotion import ApprovePromotionOperator
from include.retraining.approval.answer import Approval, find_answer
from include.retraining.config.model import load_model
from include.retraining.runs.manifest import read_manifest
from include.retraining.runs.reference import RunRef
from include.retraining.steps.decide import check_quality
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.run_factory import MODEL, plant_run

ANSWERED = datetime(2026, 1, 3, tzinfo=UTC)


class Task(ApprovePromotionOperator):
    """The task with Airflow's side recorded: the branch it takes, the question it asks."""

    branch: list[str]

    def do_branch(self, context: Context, branches_to_execute: Any) -> Any:
        """Note which way the run goes."""
        self.branch = branches_to_execute
        return branches_to_execute


@pytest.fixture
def task() -> Task:
    """The task in a DAG with a trigger form of its own."""
    changes = {"title": "Toy {{ 7 * 7 }}", "approval": "required", "approval_hours": 24}
    asking = load_model("diabetes_progression").model_copy(update=changes)
    with DAG(f"retrain_{MODEL}", schedule=None, params={"dry_run": False}):
        return Task(
            task_id="approve_promotion",
            config=asking,
            when_approved="deploy_model",
            when_rejected="abort_pipeline",
        )


def plant(store: Store, **params: Any) -> RunRef:
    """Plant a judged run of a model that needs an approval."""
    run = plant_run(store, 1, **params)
    manifest = read_manifest(store, run.paths)
    config = {**manifest.config, "approval": "required", "title": "Toy {{ 7 * 7 }}"}
    store.write(run.paths.manifest, manifest.model_copy(update={"config": config}).to_bytes())
    check_quality(store, run)
    return run


def context_of(context: MakeContext, run: RunRef) -> dict[str, Any]:
    """Return the context of the task in a run."""
    made = context(
        dag_id=run.dag_id, run_id=run.run_id, run_after=run.run_after, task_id="approve_promotion"
    )
    made["ti"].id = "an id"
    made["task_instance"] = made["ti"]
    return made


def event(option: str, form: Any = None, user: Any = None) -> dict[str, Any]:
    """Return what Airflow resumes the task with."""
    return {
        "chosen_options": [option],
        "params_input": form,
        "responded_at": ANSWERED,
        "responded_by_user": user,
    }


ADA = {"id": "ada", "name": "ada"}


def test_the_form_has_a_note_and_no_field_of_the_trigger_form(task: Task) -> None:
    """The note may stay empty, since a required one would keep the question from expiring."""
    assert set(task.serialized_params) == {"note"}
    assert task.serialized_params["note"]["value"] is None
    assert "null" in task.serialized_params["note"]["schema"]["type"]
    assert (task.options, task.defaults) == (["Approve", "Reject"], ["Reject"])
    assert task.response_timeout == timedelta(hours=24)


def test_nothing_of_it_is_a_template(task: Task) -> None:
    """A model's title or data with braces in it is shown as it is."""
    assert list(task.template_fields) == []
    assert task.subject == "Toy {{ 7 * 7 }}: promote the new version?"


def test_it_asks_with_the_evidence_and_tells_where_to_answer(
    store: Store,
    slack: SlackReceiver,
    task: Task,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """First the question to Airflow, then one message with page and expiry to Slack."""
    run = plant(store)
    taken: list[dict[str, Any]] = []

    def take(**question: Any) -> None:
        assert slack.messages == []
        taken.append(question)

    # Airflow's process of the task is the only one that has a way to its database.
    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", take)
    before = datetime.now(UTC)
    with pytest.raises(TaskAwaitingInput):
        task.execute(context_of(context, run))
    (question,) = taken
    assert question["subject"].startswith("Toy {{ 7 * 7 }}: promote version ")
    assert "| Gate | Answer |" in question["body"]
    (message,) = slack.messages
    text = str(message)
    assert f"/dags/{run.dag_id}/runs/{run.run_id}/tasks/approve_promotion/required_actions" in text
    until = before + timedelta(hours=24)
    assert any(f"{until + timedelta(minutes=x):%Y-%m-%d %H:%M} UTC" in text for x in (0, 1))
    assert find_answer(store, run.paths, 0) is None


def test_a_dry_run_asks_nobody(
    store: Store, slack: SlackReceiver, task: Task, context: MakeContext
) -> None:
    """It goes to the promotion, which promotes nothing, without a message."""
    run = plant(store, dry_run=True)
    task.execute(context_of(context, run))
    assert task.branch == ["deploy_model"]
    assert slack.messages == []


@pytest.mark.parametrize(
    ("option", "form", "user", "expected", "branch"),
    [
        ("Approve", {"note": " it is\nbetter "}, ADA, ("ada", "it is better"), "deploy_model"),
        ("Approve", {}, ADA, ("ada", None), "deploy_model"),
        ("Approve", {"note": None}, ADA, ("ada", None), "deploy_model"),
        ("Approve", {"note": "  "}, ADA, ("ada", None), "deploy_model"),
        ("Approve", {"note": 5, "x": 1}, ADA, ("ada", None), "deploy_model"),
        ("Approve", None, {"id": "7", "name": "Ada"}, ("Ada (7)", None), "deploy_model"),
        ("Reject", {"note": "no"}, ADA, ("ada", "no"), "abort_pipeline"),
        ("Reject", {"note": None}, None, (None, None), "abort_pipeline"),
    ],
)
def test_the_answer_is_kept_and_leads_on(
    store: Store,
    task: Task,
    context: MakeContext,
    option: str,
    form: Any,
    user: Any,
    expected: tuple[str | None, str | None],
    branch: str,
) -> None:
    """Who, what and why are in the store before the run goes on, whatever the form held."""
    run = plant(store)
    task.execute_complete(context_of(context, run), event(option, form, user))
    kept = find_answer(store, run.paths, 0)
    assert kept is not None
    assert (kept.by, kept.note) == expected
    assert kept.answered_at == ANSWERED
    assert kept.verdict_digest == check_quality(store, run).content_digest
    assert kept.choice == option.lower()
    assert task.branch == [branch]


def test_a_long_note_is_cut(store: Store, task: Task, context: MakeContext) -> None:
    """A note is for people to read, in the record, the log and Slack."""
    run = plant(store)
    task.execute_complete(context_of(context, run), event("Approve", {"note": "x " * 999}, ADA))
    kept = find_answer(store, run.paths, 0)
    assert kept is not None
    assert kept.note is not None
    assert len(kept.note) == 500


@pytest.mark.fault("L02")
def test_a_secret_in_a_note_is_refused(store: Store, task: Task, context: MakeContext) -> None:
    """The answer does not count, nothing of it is kept, and the error does not repeat it."""
    run = plant(store)
    given = event("Approve", {"note": "password=hunter22"}, ADA)
    with pytest.raises(AirflowFailException, match="looks like a secret") as refused:
        task.execute_complete(context_of(context, run), given)
    assert "hunter22" not in str(refused.value)
    assert find_answer(store, run.paths, 0) is None


def test_a_retry_goes_on_with_the_answer_that_was_kept(
    store: Store, slack: SlackReceiver, task: Task, context: MakeContext
) -> None:
    """A person is not asked twice because a process died; the first answer counts."""
    run = plant(store)
    now = context_of(context, run)
    task.execute_complete(now, event("Reject", {"note": "no"}, ADA))
    task.branch = []
    task.execute_complete(now, event("Approve", {"note": "yes"}, ADA))
    assert task.branch == ["abort_pipeline"]
    task.branch = []
    task.execute(now)
    assert task.branch == ["abort_pipeline"]
    assert slack.messages == []


def test_a_run_that_was_not_judged_is_not_asked_about(
    store: Store, task: Task, context: MakeContext
) -> None:
    """Without a verdict the task fails at once, with one line."""
    run = plant_run(store, 1)
    with pytest.raises(AirflowFailException, match="was not judged"):
        task.execute(context_of(context, run))


def test_an_answer_of_before_a_clear_is_not_the_clears_own(
    store: Store, task: Task, context: MakeContext
) -> None:
    """Who clears the task is asked again: only an answer of the same clear is gone on with."""
    run = plant(store)
    task.execute_complete(context_of(context, run), event("Reject", None, ADA))
    assert find_answer(store, run.paths, 1) is None
    assert isinstance(find_answer(store, run.paths, 0), Approval)
