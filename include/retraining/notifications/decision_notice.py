"""The message about a run's decision."""

from __future__ import annotations

from typing import NamedTuple

from include.retraining.decisions.phrases import HAPPENED
from include.retraining.decisions.record import (
    PROMOTES,
    READS_CONFIGURATION,
    DecisionRecord,
    Outcome,
)
from include.retraining.formatting.text import default_title, in_words
from include.retraining.notifications.notice import (
    Links,
    Notice,
    NoticeKind,
    alert,
    run_topic,
    serving_words,
)


class _Text(NamedTuple):
    """The message of an outcome."""

    event: str
    """Names the page in `docs/runbooks/` too, where there is something to do."""
    kind: NoticeKind
    step: str


_MESSAGES: dict[Outcome, _Text] = {
    Outcome.PROMOTED: _Text(
        "promoted",
        NoticeKind.GOOD_NEWS,
        (
            "Nothing to do. To undo it, trigger `rollback_model` for `{model}` in the Airflow UI, "
            'or type `python -m include.retraining rollback {model} --to {previous} --reason "…"`.'
        ),
    ),
    Outcome.REJECTED: _Text(
        "rejected",
        NoticeKind.REJECTED,
        "Nothing is broken. See the run's card for what it lacks; the next delivery will be tried.",
    ),
    Outcome.CANNOT_JUDGE: _Text(
        "cannot_judge",
        NoticeKind.BROKEN,
        (
            "Repair what the reason names and clear `evaluate_model` in the run. For a champion "
            "that is lost: `python -m include.retraining promote {model} --version {version} "
            '--unjudged-champion --reason "…"`.'
        ),
    ),
    Outcome.DATA_REJECTED: _Text(
        "data_rejected",
        NoticeKind.REJECTED,
        (
            "Ask the producer to repair the files and to write the flag again: the next run, by "
            "schedule or triggered, takes them. If the YAML or the contract is at fault, fix it, "
            "merge it and clear `plan_run` in the run."
        ),
    ),
    Outcome.NO_DATA: _Text(
        "no_data",
        NoticeKind.BROKEN,
        "Ask the producer. Once it is there, clear `wait_for_data` or wait for the next run.",
    ),
    Outcome.FAILED: _Text(
        "broken",
        NoticeKind.BROKEN,
        "Read the log, repair the cause and clear the failed task.",
    ),
    Outcome.CANCELLED: _Text(
        "broken",
        NoticeKind.BROKEN,
        "Trigger it again when it should go on.",
    ),
    Outcome.SUPERSEDED: _Text(
        "superseded",
        NoticeKind.REJECTED,
        "Nothing to do: the next delivery is judged against the champion of that time. A version "
        "that was rolled back serves again only by `rollback_model`.",
    ),
    Outcome.HELD: _Text(
        "held",
        NoticeKind.REJECTED,
        (
            "When the rollback is dealt with, trigger `release_model` for `{model}` in the Airflow "
            'UI, or type `python -m include.retraining release {model} --reason "…"`.'
        ),
    ),
    Outcome.APPROVAL_REJECTED: _Text(
        "approval_rejected",
        NoticeKind.REJECTED,
        "To ask again, clear `approve_promotion` in the run.",
    ),
    Outcome.APPROVAL_EXPIRED: _Text(
        "approval_expired",
        NoticeKind.REJECTED,
        "To ask again, clear `approve_promotion` in the run.",
    ),
    Outcome.DRY_RUN: _Text(
        "dry_run",
        NoticeKind.REJECTED,
        "Trigger it without `dry_run` to act on it.",
    ),
}


# Events without a page in docs/runbooks: they ask for nothing.
NOTHING_TO_DO = frozenset({"promoted", "dry_run"})

# Per kind of first cause: what it is called, and the step that mends it.
CAUSES: dict[str, tuple[str, str]] = {
    "out_of_memory": (
        "out of memory",
        (
            "Give the step more `memory` under `compute:` in include/models/{model}.yaml, merge "
            "it, and clear `plan_run` in the run."
        ),
    ),
    "disk_full": (
        "the disk is full",
        "Make room where the reason says, then clear `{task}` in the run.",
    ),
    "timeout": (
        "timeout",
        (
            "See in the log what took so long. If the time was too short, raise it in "
            "include/models/{model}.yaml and clear `plan_run` in the run."
        ),
    ),
    "no_capacity": (
        "no capacity",
        "Check the queue or the cluster; once there is room, clear `{task}` in the run.",
    ),
    "code_changed": (
        "the code changed",
        "Clear `plan_run` in the run: it is planned again with the current code.",
    ),
    "config": (
        "configuration",
        (
            "Run `python -m include.retraining validate-config`, fix the file it names, merge it "
            "and clear `plan_run` in the run."
        ),
    ),
    "data_changed": (
        "the data changed under the run",
        "Ask the producer who wrote to it. Clear `plan_run` in the run to take it as it is now.",
    ),
    "parameter": (
        "a parameter",
        "Trigger `{dag_id}` again: a run keeps the parameters that it was given.",
    ),
    "image": (
        "image",
        (
            "See that the image in include/models/{model}.yaml exists and can be pulled; then "
            "clear `{task}` in the run."
        ),
    ),
    "training": (
        "the model's code",
        "Fix include/models/{model}.py as the log says, merge it and clear `plan_run` in the run.",
    ),
    "storage": (
        "storage",
        (
            "Run `python -m include.retraining verify {model}`. Once the store answers, clear "
            "`{task}` in the run."
        ),
    ),
    "registry": (
        "the promotion log",
        (
            "Run `python -m include.retraining verify {model}`: it names each entry that is "
            "damaged. Nothing is promoted before it is repaired."
        ),
    ),
    "killed": (
        "killed",
        (
            "Clear `{task}` in the run. If it is killed again, check the memory of the host "
            "it ran on."
        ),
    ),
}


# The cause that has its own page; the others are on their outcome's.
_CAUSE_PAGES = {"registry": "promotion_log"}


def kind_of(outcome: Outcome) -> NoticeKind | None:
    """Return how the message about an outcome wants to be read; None where there is none."""
    return _MESSAGES[outcome].kind if outcome in _MESSAGES else None


def event_of(outcome: Outcome) -> str | None:
    """Return the word for the message about an outcome; None where there is none."""
    return _MESSAGES[outcome].event if outcome in _MESSAGES else None


def notice_key(record: DecisionRecord, event: str) -> str:
    """Return the key of a message about a decision, the same for every sender."""
    return f"{record.model}.{record.run}.{record.clear:03d}.{event}"


def notice_for(record: DecisionRecord, links: Links) -> Notice | None:
    """Return the message about a decision, or None when none is sent (no change)."""
    if record.outcome not in _MESSAGES:
        return None
    text = _MESSAGES[record.outcome]
    words, template = CAUSES.get(record.failure or "", ("", text.step))
    if record.outcome is not Outcome.FAILED:
        words, template = "", text.step
    has_failed_in = record.failed_task and record.outcome is not Outcome.PROMOTED
    task = f" in `{record.failed_task}`" if has_failed_in else ""
    return _about(
        record,
        links,
        event=text.event,
        kind=text.kind,
        headline=f"{HAPPENED[record.outcome]}{task}{f': {words}' if words else ''}",
        why=record.reason,
        step=_next_step(record, template),
        page=_CAUSE_PAGES.get(record.failure or "") if words else None,
        is_outcome=True,
    )


def _next_step(record: DecisionRecord, template: str) -> str:
    """Return the one next step after a decision."""
    is_promoted = record.outcome is Outcome.PROMOTED
    if is_promoted and record.failed_task == PROMOTES:  # killed behind it
        return (
            f"It serves, and DAGs that wait for the asset `{record.model}_champion` were not "
            f"notified: clear `{record.failed_task}` in the run, which notifies them and changes "
            "nothing."
        )
    if record.failed_task == READS_CONFIGURATION:  # such a run has no other task to clear
        return (
            "Run `python -m include.retraining validate-config`, fix the file it names, merge it "
            f"and trigger `{record.dag_id}` again."
        )
    if is_promoted and record.previous is None:
        return "Nothing to do: it is the first."
    return template.format(
        model=record.model,
        dag_id=record.dag_id,
        task=record.failed_task or "the failed task",
        version=record.version or "VERSION",
        previous=record.previous.version if record.previous else "VERSION",
    )


def card_notice(record: DecisionRecord, links: Links, problem: str) -> Notice:
    """Return the message that a decision stands and that its model card could not be made."""
    decided = in_words(record.outcome.value)
    headline = f"the model card could not be made ({decided} run)"
    step = "The decision stands. Clear `publish_card` to make the card again."
    return _about(
        record,
        links,
        event="card",
        kind=NoticeKind.BROKEN,
        headline=headline,
        why=problem,
        step=step,
    )


def _about(
    record: DecisionRecord,
    links: Links,
    *,
    event: str,
    kind: NoticeKind,
    headline: str,
    why: str,
    step: str,
    page: str | None = None,
    is_outcome: bool = False,
) -> Notice:
    return alert(
        event=event,
        kind=kind,
        key=notice_key(record, event),
        title=record.title or default_title(record.model),
        model=record.model,
        headline=headline,
        why=why,
        step=step,
        owner=record.owner,
        serving=serving_words(record.serving, record.serving_since),
        links=links,
        runbook=page or ("" if event in NOTHING_TO_DO else event),
        topic=run_topic(record.model, record.run),
        is_outcome=is_outcome,
    )
