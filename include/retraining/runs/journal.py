"""The journal of started runs, so that one that vanishes is noticed.

When a run's processes are killed, or someone marks the whole run failed, Airflow calls no callback.
Runs that started and have no decision record are those that the watch asks Airflow about. Each has
a marker below `watch/`, written before anything else of that clear of the run and removed by the
watch: so it finds them without a listing of all runs that ever were, however old they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import NamedTuple

from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError
from include.retraining.runs.manifest import TriggeredBy, find_manifest
from include.retraining.runs.reference import RunRef
from include.retraining.store import layout
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

NEWEST = 10
"""How many runs of a model are checked although they have a record: they may be cleared."""
_MARKER = re.compile(r"(?P<model>[^.]+)\.(?P<run>.+)\.(?P<clear>[0-9]{3,})\.json")
_GOES_ON = re.compile(r"(?P<run>.+)\.cleared-(?P<clear>[0-9]{3,})\.json")


class RunStart(Document):
    """A run began."""

    dag_id: str
    run_id: str
    run_after: datetime
    cause: TriggeredBy
    airflow: str | None
    """The address of the Airflow that it started in; None where it was not recorded."""
    day: date | None = None
    """Of the flag whose event started the run; None where no event named a day by then."""


class KnownRun(NamedTuple):
    """A run that the store knows of."""

    run: RunRef
    airflow: str | None
    """As `RunStart.airflow`: no other Airflow can know that the run is gone."""


class OpenRun(NamedTuple):
    """A clear of a run that the watch follows, as its marker's name says."""

    key: str
    """The marker's."""
    model: str
    run: str
    """The run's own name."""
    clear: int

    kind: layout.RunKind = "runs"

    @property
    def paths(self) -> RunPaths:
        """The keys of the run's first plan."""
        return RunPaths(self.model, self.run, self.kind)


def open_runs(store: Store, folder: str = layout.OPEN_RUNS) -> list[OpenRun]:
    """Return the runs that have a marker, by model and time.

    Args:
        store: the store.
        folder: `layout.OPEN_RUNS`, or `layout.OPEN_JOBS` or `layout.OPEN_SCORING_JOBS` for those
            with jobs elsewhere.
    """
    kind: layout.RunKind = "scoring" if folder == layout.OPEN_SCORING_JOBS else "runs"
    names = ((info.key, info.key.removeprefix(f"{folder}/")) for info in store.children(folder)[1])
    return [
        OpenRun(key, match["model"], match["run"], int(match["clear"]), kind)
        for key, name in names
        if (match := _MARKER.fullmatch(name))
    ]


def follow_run(store: Store, known: KnownRun) -> None:
    """Put the marker of a run, so that the watch follows it until it has its record."""
    run = known.run
    key = layout.open_key(layout.OPEN_RUNS, run.model, run.paths.first_plan, run.clear)
    store.create(key, _start_of(run, known.airflow).to_bytes())


def follow_jobs(store: Store, paths: RunPaths, clear: int) -> None:
    """Put the marker of a run with jobs elsewhere. Before the first of them is claimed."""
    folder = layout.OPEN_SCORING_JOBS if paths.kind == "scoring" else layout.OPEN_JOBS
    key = layout.open_key(folder, paths.model, paths.first_plan, clear)
    store.create(key, b"{}\n")


def record_run_start(store: Store, run: RunRef, *, airflow: str, day: date | None = None) -> None:
    """Record that a run started, or that it continues after a clear, unless it is recorded already.

    Args:
        store: the store.
        run: the run.
        airflow: the address of the Airflow that it started in.
        day: of the flag whose event started the run, where an event named one.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    if run.kind == "runs":  # of a scoring run, its own callbacks are all that records it
        follow_run(store, KnownRun(run, airflow))
    begun = _start_of(run, airflow, day).to_bytes()
    store.create(run.paths.begun, begun)
    if run.clear > 0:
        store.create(run.paths.goes_on(run.clear), begun)


def recorded_day(store: Store, run: RunRef) -> date | None:
    """Return the day that a run works on since it began; None where no event had named one.

    Raises:
        StorageError: when the store refuses or does not answer.
        EvidenceError: when what was recorded is unreadable.
    """
    data = store.read_if_present(run.paths.begun)
    return None if data is None else RunStart.from_bytes(data, where=run.paths.begun).day


def _start_of(run: RunRef, airflow: str | None, day: date | None = None) -> RunStart:
    return RunStart(
        dag_id=run.dag_id,
        run_id=run.run_id,
        run_after=run.run_after,
        cause=run.cause,
        airflow=airflow,
        day=day,
    )


def find_known_run(store: Store, marker: OpenRun) -> KnownRun | None:
    """Return the run of a marker, read from the marker, or from what else the run left.

    None for one that left nothing that can be read.
    """
    data = store.read_if_present(marker.key)
    try:
        begun = RunStart.from_bytes(data or b"", where=marker.key)
    except EvidenceError:
        return _begun(store, marker.paths, clear=marker.clear)
    return _known(marker.paths, begun, marker.clear)


def runs_to_check(store: Store, model: str, *, newest: int = NEWEST) -> Iterator[KnownRun]:
    """Yield a model's newest runs, and every older one with a clear that has no record.

    The newest come first. Which clear of a run is the last is Airflow's to say: here it is the last
    that is known to have begun and has no record, else 0.
    """
    folders, notes = store.children(RunPaths(model, "").folder.rstrip("/"))
    runs = {RunPaths(model, name).first_plan for name in folders}
    ended = {
        re.sub(r"(\.corrected)?\.json$", "", info.key.rpartition("/")[2])
        for info in store.children(layout.decisions_folder(model))[1]
    }
    recorded = {name.rpartition(".")[0] for name in ended}
    going_on = {
        match["run"]: int(match["clear"])  # sorted by name: the last one stays
        for info in notes
        if (match := _GOES_ON.fullmatch(info.key.rpartition("/")[2]))
        and f"{match['run']}.{match['clear']}" not in ended
    }
    for number, run in enumerate(sorted(runs, reverse=True)):
        if number < newest or run not in recorded or run in going_on:
            known = _begun(store, RunPaths(model, run), clear=going_on.get(run, 0))
            if known is not None:
                yield known


def plans_of(store: Store, run: RunRef) -> list[RunPaths]:
    """Return the keys of all plans of a run, the first one first."""
    plans = [run.paths]
    while store.exists(plans[-1].next_plan().manifest):
        plans.append(plans[-1].next_plan())
    return plans


def _begun(store: Store, paths: RunPaths, *, clear: int) -> KnownRun | None:
    """Return a run that started; None for one that left nothing to identify it by."""
    try:
        data = store.read_if_present(paths.begun)
        if data is not None:
            begun: RunStart | None = RunStart.from_bytes(data, where=paths.begun)
        else:
            begun = _planned(store, paths) if paths.kind == "runs" else None
    except EvidenceError:
        return None  # `verify` reports the damage; the other runs are still checked
    return None if begun is None else _known(paths, begun, clear)


def _known(paths: RunPaths, begun: RunStart, clear: int) -> KnownRun:
    run = RunRef(
        model=paths.model,
        dag_id=begun.dag_id,
        run_id=begun.run_id,
        run_after=begun.run_after,
        clear=clear,
        cause=begun.cause,
        kind=paths.kind,
    )
    return KnownRun(run, begun.airflow)


def _planned(store: Store, paths: RunPaths) -> RunStart | None:
    """Return the same from a run's manifest: of a run that began before this was noted."""
    manifest = find_manifest(store, paths)
    if manifest is None:
        return None
    return RunStart(
        dag_id=manifest.dag_id,
        run_id=manifest.run_id,
        run_after=manifest.run_after,
        cause=manifest.cause,
        airflow=None,
    )
