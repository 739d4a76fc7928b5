"""What is wrong with a model although no run of it reports it: pure functions of an observation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from include.retraining.config.deadline import TimeOfDay, parse_deadline
from include.retraining.config.model import ModelConfig
from include.retraining.formatting.numbers import number
from include.retraining.formatting.text import default_title
from include.retraining.formatting.times import utc_minute
from include.retraining.monitoring.drift import ColumnDrift
from include.retraining.monitoring.drift_state import DriftState, DriftStatus
from include.retraining.monitoring.windows import Judgement, State
from include.retraining.notifications.notice import Links
from include.retraining.registry.entry import PromotionEntry
from include.retraining.watch.alarms import NOWHERE, Alarm

DAMAGED = "promotion_log"
CONFIGURATION = "configuration"
DECAYED = "decayed"
DRIFTED = "drifted"
CONDITIONS = {
    "paused": "its DAG is paused",
    "no_decision": "nothing was decided for two intervals",
    "too_old": "the champion is too old",
    "late": "a run is late",
    DECAYED: "the champion scores worse than promised",
    DRIFTED: "its inputs have drifted",
    DAMAGED: "the promotion log is damaged",
    CONFIGURATION: "its configuration is wrong",
}
"""Every condition of a model that may be raised, and what it is in words."""
MAX_NAMED = 5
"""Columns that an alarm names."""
DUES = 3
"""How many due times are checked: two whole intervals lie between three."""


@dataclass(frozen=True)
class RunSummary:
    """A model's newest run, as Airflow has it."""

    run_id: str
    run_after: datetime
    state: str
    waits_for_person: bool


@dataclass(frozen=True)
class ModelObservation:
    """What one check of a model observed."""

    config: ModelConfig
    now: datetime
    watched_since: datetime
    is_paused: bool | None
    """Whether its DAG is paused; None when Airflow does not know the DAG."""
    dues: tuple[datetime, ...]
    """The last `DUES` times that a run was due, the newest first; none when triggered manually."""
    due_for_deadline: datetime | None
    """The last time a run was due before the deadline that passed last; None without one."""
    decided: datetime | None
    """When the newest run that has decided was due, or decided if that was later; None of none."""
    run: RunSummary | None
    champion: PromotionEntry | None
    serving: str
    """The champion, as text (`serving_now`)."""
    links: Links = NOWHERE
    decay: Judgement | None = None
    """What the champion's grades show; None without a champion."""
    drifts: Mapping[str, DriftState] = field(default_factory=dict)
    """Whether the champion's inputs have drifted, by their source."""

    @property
    def checked(self) -> tuple[str, ...]:
        """The conditions that could be checked: no other is raised, or over."""
        blind = set[str]()
        # A champion that was never judged cannot be the one that an alarm is about.
        if self.decay is not None and self.decay.seen_at is not None:
            blind |= {DECAYED} if self.decay.state is State.CANNOT_JUDGE else set()
        if any(drift.status is DriftStatus.CANNOT_JUDGE for drift in self.drifts.values()):
            blind.add(DRIFTED)
        return tuple(name for name in CONDITIONS if name not in blind)


def problems(seen: ModelObservation) -> list[Alarm]:
    """Return what is wrong with a model."""
    return [
        Alarm(
            condition=finding.condition,
            title=seen.config.title,
            headline=finding.headline,
            why=finding.why,
            step=finding.step,
            over=finding.over,
            runbook=finding.condition,
            model=seen.config.name,
            owner=seen.config.owner,
            serving=seen.serving,
            links=seen.links,
        )
        for finding in (
            *_paused(seen),
            *_no_decision(seen),
            *_too_old(seen),
            *_late(seen),
            *_decayed(seen),
            *_drifted(seen),
        )
    ]


def damaged_log(config: ModelConfig, why: str, links: Links) -> Alarm:
    """Return the alarm of a model whose promotion log cannot be read, so that nothing else can."""
    return Alarm(
        condition=DAMAGED,
        title=config.title,
        headline="the promotion log is damaged: nothing is promoted or rolled back",
        why=why,
        step=f"Run `python -m include.retraining verify {config.name}`: it names each entry that "
        "is damaged, and checks the others.",
        over="the promotion log can be read again",
        runbook=DAMAGED,
        model=config.name,
        owner=config.owner,
        serving="unknown",
        links=links,
    )


def wrong_configuration(model: str, why: str, links: Links, *, serving: str) -> Alarm:
    """Return the alarm of a model whose YAML is wrong, so that its DAG only reports that.

    Args:
        model: the name of its file.
        why: what is wrong, a line for each problem.
        links: where to look.
        serving: the champion meanwhile, as text.
    """
    first, *others = why.splitlines()
    more = f" (and {len(others)} more)" if others else ""
    return Alarm(
        condition=CONFIGURATION,
        title=default_title(model),
        headline="it is not retrained any more: its configuration is wrong",
        why=f"{first}{more}",
        step=f"Run `python -m include.retraining validate-config {model}` and fix what it names, "
        "or revert the last commit that touched it.",
        over="its configuration can be read again",
        runbook=CONFIGURATION,
        model=model,
        serving=serving,
        links=links,
    )


def damaged_record(config: ModelConfig, why: str, serving: str, links: Links) -> Alarm:
    """Return the alarm of a model one of whose decision records is gone or was altered."""
    return Alarm(
        condition=DAMAGED,
        title=config.title,
        headline="a decision record is missing or was altered",
        why=why,
        step=f"Run `python -m include.retraining verify {config.name}`: it names each record that "
        "is not as it was.",
        over="the decision record is as it was",
        runbook=DAMAGED,
        model=config.name,
        owner=config.owner,
        serving=serving,
        links=links,
    )


@dataclass(frozen=True)
class _Finding:
    condition: str
    headline: str
    why: str
    step: str
    over: str


def _paused(seen: ModelObservation) -> Iterator[_Finding]:
    # A model without any decision has not been switched on yet.
    in_use = seen.decided is not None or seen.champion is not None
    if seen.is_paused and in_use and seen.config.trigger.schedule is not None:
        yield _Finding(
            "paused",
            "it is not retrained any more: its DAG is paused",
            f"`{seen.config.dag_id}` has a schedule and is paused in Airflow: no run is created.",
            f"Unpause `{seen.config.dag_id}`, or find out who paused it (Audit Log) and why.",
            "its DAG is not paused any more",
        )


def _no_decision(seen: ModelObservation) -> Iterator[_Finding]:
    if seen.is_paused or len(seen.dues) < DUES or _waits(seen):
        return  # a pause is an alarm of its own
    since = seen.dues[-1]
    if seen.watched_since <= since and not _decided_since(seen.decided, since):
        yield _Finding(
            "no_decision",
            "nothing was decided for two intervals",
            f"Runs were due at {_times(seen.dues)}; {_run_words(seen)}.",
            f"Open `{seen.config.dag_id}` in Airflow and check its newest run.",
            "a run has decided again",
        )


def _too_old(seen: ModelObservation) -> Iterator[_Finding]:
    limit = seen.config.max_champion_age_days
    if limit is None or seen.champion is None:
        return
    of = date.fromisoformat(seen.champion.data_date)
    age = seen.now - datetime(of.year, of.month, of.day, tzinfo=UTC)
    if age.total_seconds() > limit * 86400:
        yield _Finding(
            "too_old",
            "the champion is too old",
            f"It was trained on the data of {of.isoformat()}, {age.days} days ago; the limit is "
            f"{limit:g} days.",
            "See why no newer version serves: "
            f"`python -m include.retraining decisions {seen.config.name}`.",
            "the champion is recent enough again",
        )


def _late(seen: ModelObservation) -> Iterator[_Finding]:
    due, text = seen.due_for_deadline, seen.config.deadline
    deadline = None if text is None else parse_deadline(text)
    if due is None or not isinstance(deadline, TimeOfDay) or _waits(seen):
        return
    by = deadline.after(due)
    if seen.watched_since <= due and by <= seen.now and not _decided_since(seen.decided, due):
        yield _Finding(
            "late",
            f"no decision by {deadline.at:%H:%M} {deadline.zone.key}",
            f"A run was due at {_times((due,))} and must decide by {_times((by,))}; "
            f"{_run_words(seen)}.",
            f"Open `{seen.config.dag_id}` in Airflow: unpause it if it is paused, else look at "
            "the task that is not done.",
            "a run has decided, late",
        )


def _decayed(seen: ModelObservation) -> Iterator[_Finding]:
    if seen.decay is not None and seen.decay.state is State.DECAYED:
        yield _Finding(
            DECAYED,
            "the champion scores worse than its gate promised",
            f"On rows that it never saw, beyond what chance explains: {seen.decay.why}.",
            "See what newer versions score, and why none serves: "
            f"`python -m include.retraining decisions {seen.config.name}`.",
            "the champion scores as promised again, or another one serves",
        )


def _drifted(seen: ModelObservation) -> Iterator[_Finding]:
    drifted = [
        f"{_INPUTS[source]}: {', '.join(map(_moved_words, state.columns[:MAX_NAMED]))}"
        + (f" and {more:,} more" if (more := len(state.columns) - MAX_NAMED) > 0 else "")
        for source, state in seen.drifts.items()
        if state.status is DriftStatus.DRIFTED
    ]
    if drifted:
        yield _Finding(
            DRIFTED,
            "its inputs have drifted from what the champion was trained on",
            f"Beyond their limits in the newest input and the most of those before, "
            f"{'; '.join(drifted)}.",
            "Find out whether the producer or the world changed: the model card of the newest run "
            "shows the columns that moved most.",
            "its inputs are as usual again",
        )


def _moved_words(moved: ColumnDrift) -> str:
    index = f"stability index {number(moved.index, 2)}, limit {number(moved.limits.index, 2)}"
    distance = ""
    if moved.distance is not None:
        distance = f"; moved by {number(moved.distance, 2)} standard deviations"
    missing = ""
    if moved.missing != moved.missing_before:
        missing = f"; {moved.missing:.1%} missing, {moved.missing_before:.1%} in training"
    return f"`{moved.name}` ({index}{distance}{missing})"


_INPUTS = {"delivery": "of the deliveries", "scoring": "of what is scored"}


def _decided_since(decided: datetime | None, since: datetime) -> bool:
    return decided is not None and decided >= since


def _waits(seen: ModelObservation) -> bool:
    return seen.run is not None and seen.run.waits_for_person


def _run_words(seen: ModelObservation) -> str:
    if seen.is_paused is None:
        return "Airflow does not know its DAG (is there an import error?)"
    if seen.is_paused:
        return "its DAG is paused"
    if seen.run is None:
        return "no run was created"
    return f"its newest run, due at {_times((seen.run.run_after,))}, is {seen.run.state}"


def _times(times: tuple[datetime, ...]) -> str:
    return ", ".join(utc_minute(time) for time in times)
