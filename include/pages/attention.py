"""What needs attention in a model, the most urgent first. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from include.pages.airflow_state import DagSummary
from include.pages.urls import approval_link
from include.retraining.config.notice_kind import NoticeKind
from include.retraining.formatting.text import in_words
from include.retraining.history.overview import ModelSummary
from include.retraining.notifications.decision_notice import kind_of
from include.retraining.watch.conditions import CONDITIONS


class Urgency(IntEnum):
    """How much a model needs someone; the lowest number comes first on the page.

    Beside the kind of a message and the tier of a model: `docs/glossary.md` compares the three.
    """

    DAMAGED = 1
    """Something in the store cannot be read."""
    BROKEN = 2
    """The last run ended with an error."""
    WAITING = 3
    """A run waits for an approval."""
    ALARM = 4
    """The watch has raised an alarm that is not over."""
    UNSENT = 5
    """A message was not delivered."""
    HELD = 6
    """A rollback keeps runs from promoting."""
    NOTHING = 9


@dataclass(frozen=True)
class Need:
    """One thing that someone must see to."""

    urgency: Urgency
    summary: str
    runbook: str | None = None
    """The page in `docs/runbooks/` about it."""
    link: str | None = None
    """The page of Airflow where it is seen to; it comes before the runbook."""


def needs(seen: ModelSummary, dag: DagSummary, unsent: int) -> list[Need]:
    """Return what needs attention, the most urgent first.

    Args:
        seen: what the store says.
        dag: what Airflow says.
        unsent: how many messages about the model are not delivered.
    """
    model_needs = [*_of_store(seen), *_of_airflow(dag)]
    if unsent:
        words = "1 message is" if unsent == 1 else f"{unsent} messages are"
        model_needs.append(Need(Urgency.UNSENT, f"{words} not delivered", "outbox"))
    return sorted(model_needs, key=lambda need: need.urgency)


def urgency(model_needs: list[Need]) -> Urgency:
    """Return the most urgent of a model's needs."""
    return min((need.urgency for need in model_needs), default=Urgency.NOTHING)


def _of_store(seen: ModelSummary) -> Iterator[Need]:
    if seen.problems:
        page = "" if seen.is_log_read else "promotion_log"
        yield Need(Urgency.DAMAGED, "something cannot be read", page)
    newest = seen.newest
    if newest is not None and kind_of(newest.outcome) is NoticeKind.BROKEN:
        words = f"the last run: {in_words(newest.outcome.value)}"
        yield Need(Urgency.BROKEN, words, "broken")
    for condition, raised in seen.raised.items():
        words = CONDITIONS.get(condition, in_words(condition))
        yield Need(Urgency.ALARM, f"{words}, since {raised.since:%d %b %H:%M} UTC", condition)
    if seen.hold is not None:
        yield Need(Urgency.HELD, "on hold: no run promotes", "rolled_back")


def _of_airflow(dag: DagSummary) -> Iterator[Need]:
    if dag.waits_for_person is not None:
        form = approval_link(dag.dag_id, dag.waits_for_person)
        yield Need(Urgency.WAITING, "a run waits for an approval", "approval", form)
