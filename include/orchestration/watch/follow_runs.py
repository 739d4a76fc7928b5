"""Which runs have ended in Airflow: those with a marker, the newest ones, and once a day all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from airflow.sdk import Context

from include.orchestration.runtime.dag_runs import newest_runs
from include.orchestration.runtime.run_reference import DAG_PREFIX, reference_to
from include.orchestration.watch.ended_runs import (
    GRACE,
    EndedRun,
    close_dead_run,
    ended_run,
    has_ended,
    word,
)
from include.orchestration.watch.side_by_side import SECONDS, each, going_on, in_turn
from include.retraining.exceptions import RetrainingError

if TYPE_CHECKING:
    from include.retraining.runs.journal import OpenRun
    from include.retraining.runs.reference import RunRef
    from include.retraining.store.object_store import Store
    from include.retraining.watch.progress import ModelRuns

WITH_LOGICAL_DATE = 5
"""How many of a model's newest runs in Airflow are checked, for those that never began."""
MOST_RUNS = 100
"""How many are checked at most, back to the one that the watch knows."""


class Marked(NamedTuple):
    """What a marker leads to."""

    ended: EndedRun | None
    """The run, if it has ended and may have no record."""
    record: str | None
    """The key of its record, where it has one."""


class Unmarked(NamedTuple):
    """The runs of a model that may lack a record although no marker names them."""

    ended: list[EndedRun]
    progress: ModelRuns
    """What is known of the model's runs once all of those have a record."""


def close_dead_runs(store: Store, context: Context, models: Sequence[str]) -> list[str]:
    """Record the runs that ended without a record, and notify; return their ids.

    Raises:
        RetrainingError: at the end, with all that failed.
    """
    from include.retraining.store.layout import WATCHED_RUNS
    from include.retraining.watch.progress import ModelRuns, WatchedRuns, read_runs

    before = read_runs(store)
    known = {**{model: ModelRuns() for model in models}, **before.models}
    following = _Pass(store, context, datetime.now(UTC), known)
    closed = [run.run_id for run in following.close_marked()]
    closed += [run.run_id for run in following.close_unmarked(models)]
    # First what is known, then the markers: who reads them in the other order misses nothing.
    after = WatchedRuns(models=dict(sorted(known.items())))
    if after != before:
        store.write(WATCHED_RUNS, after.to_bytes())
    remove_markers(store, following.settled, following.problems)
    if following.problems:
        raise RetrainingError("; ".join(following.problems))
    return closed


def remove_markers(store: Store, keys: Sequence[str], problems: list[str]) -> None:
    """Remove the markers that have served."""
    for _ in going_on(each(keys, store.delete), problems):
        pass


@dataclass
class _Pass:
    """One pass over the runs of all models."""

    store: Store
    context: Context
    now: datetime
    known: dict[str, ModelRuns]
    """By model; what this pass finds is added."""
    settled: list[str] = field(default_factory=list)
    """The markers that have served."""
    problems: list[str] = field(default_factory=list)

    def close_marked(self) -> Iterator[RunRef]:
        """Close the runs that have a marker and have ended, and yield those without a record."""
        from include.retraining.runs.journal import open_runs
        from include.retraining.watch.progress import ModelRuns

        markers = {marker.key: marker for marker in open_runs(self.store)}

        def close(key: str) -> tuple[Marked, bool]:
            marked = _marked(self.store, markers[key], self.now)
            return marked, marked.ended is not None and self._close(marked.ended)

        closed = in_turn(self.store, "open_runs", markers, close)
        for key, (marked, is_closed) in going_on(closed, self.problems):
            if marked.ended is None and marked.record is None:
                continue
            record = marked.record
            if is_closed and marked.ended is not None:
                run = marked.ended.run
                record = run.paths.decision(run.clear)
                yield run
            model = markers[key].model
            if record is not None:
                self.known[model] = _with_newest(self.known.get(model, ModelRuns()), record)
            self.settled.append(key)

    def close_unmarked(self, models: Iterable[str]) -> Iterator[RunRef]:
        """Close the runs that ended before they began, and once a day any; yield them."""

        def check(model: str) -> Unmarked:
            return _unmarked(self.store, model, self.known[model], self.now)

        checked = in_turn(self.store, "models", models, check)
        unmarked = dict(going_on(checked, self.problems))
        lacking = [(model, run) for model, one in unmarked.items() for run in one.ended]
        done: set[tuple[str, EndedRun]] = set()
        closed = each(lacking, lambda item: self._close(item[1]), until=time.monotonic() + SECONDS)
        for item, is_closed in going_on(closed, self.problems):
            done.add(item)
            if is_closed:
                yield item[1].run
        for model, one in unmarked.items():
            if all((model, run) in done for run in one.ended):
                self.known[model] = one.progress

    def _close(self, ended: EndedRun) -> bool:
        return close_dead_run(self.store, ended, self.context)


def _marked(store: Store, marker: OpenRun, now: datetime) -> Marked:
    from include.retraining.runs.journal import find_known_run

    key = marker.paths.decision(marker.clear)
    if store.exists(key):
        return Marked(None, key)
    known = find_known_run(store, marker)
    return Marked(None if known is None else ended_run(known, now - GRACE), None)


def _unmarked(store: Store, model: str, known: ModelRuns, now: datetime) -> Unmarked:
    from include.retraining.watch.progress import is_full_check_due

    dag_id, before = DAG_PREFIX + model, now - GRACE
    is_full = is_full_check_due(model, known.checked_at, now)
    ended: dict[str, EndedRun] = {}
    progress, goes_on = known, False
    is_reached = known.run_id is None
    for number, dag_run in enumerate(newest_runs(dag_id, MOST_RUNS)):
        clear = dag_run.clear_number or 0
        if not is_full and (dag_run.run_id, clear) == (known.run_id, known.clear):
            break
        if is_reached and number >= WITH_LOGICAL_DATE:
            break
        is_reached = is_reached or dag_run.run_id == known.run_id
        if number == 0:
            changes = {"run_id": dag_run.run_id, "clear": clear}
            progress = known.model_copy(update=changes)
        if has_ended(dag_run, before):
            ended[dag_run.run_id] = EndedRun(reference_to(dag_id, dag_run), word(dag_run.state))
        else:
            goes_on = True
    if goes_on:
        progress = known  # what is behind a run that goes on is checked again
    for one in ended.values():  # each has a record by the time that this is kept
        progress = _with_newest(progress, one.run.paths.decision(one.run.clear))
    if is_full:
        progress = _check_all(store, model, progress, ended, now)
    return Unmarked(list(ended.values()), progress)


def _check_all(
    store: Store, model: str, progress: ModelRuns, ended: dict[str, EndedRun], now: datetime
) -> ModelRuns:
    """Add what a listing of all runs of a model shows, and give markers to those that go on.

    It finds what has no marker: a run of before there were markers, one whose marker could not be
    written, and a clear of one of the newest runs of which no task began.
    """
    from include.retraining.decisions.record_files import newest_decision_keys
    from include.retraining.runs.journal import follow_jobs, follow_run, plans_of, runs_to_check

    for known in runs_to_check(store, model):
        newly_ended, run = ended_run(known, now - GRACE), known.run
        if newly_ended is not None:
            ended.setdefault(run.run_id, newly_ended)
        elif not store.exists(run.paths.decision(run.clear)):
            follow_run(store, known)
        for plan in plans_of(store, run):
            if store.exists(plan.job(1)) and not store.exists(plan.jobs_ended(run.clear)):
                follow_jobs(store, plan, run.clear)
    newest = next(newest_decision_keys(store, model), None)
    if newest is not None:
        progress = _with_newest(progress, newest)
    return progress.model_copy(update={"checked_at": now})


def _with_newest(known: ModelRuns, record: str) -> ModelRuns:
    newest = record if known.newest is None else max(known.newest, record)
    return known.model_copy(update={"newest": newest})
