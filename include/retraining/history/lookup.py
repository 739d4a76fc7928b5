"""Finding a run by its id or its date."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor

from include.retraining.decisions.record import DecisionRecord
from include.retraining.decisions.record_files import (
    keys_of_run,
    newest_decision_keys,
    read_record,
)
from include.retraining.decisions.records import corrected_by_log
from include.retraining.exceptions import NotFound
from include.retraining.runs.journal import open_runs
from include.retraining.runs.manifest import RunManifest, current_plan, find_manifest
from include.retraining.store.layout import RunPaths, model_folder
from include.retraining.store.object_store import Store

_RUN_NAME = re.compile(r"[0-9]{8}T[0-9]{6}-[A-Za-z0-9_.-]+-[0-9a-f]{8}(\.[0-9]+)?")
_READERS = 16
"""How many models are searched at once."""
_DECISION_NAME = re.compile(r"([^/]+)\.[0-9]{3,}\.json$")


def find_run(store: Store, run: str, model: str | None = None) -> RunPaths:
    """Return the newest plan of a run.

    The name of a folder is looked for where it would lie. An id is looked for among the runs that
    go on, then among those that have decided, the newest first, and then among all.

    Args:
        store: the store.
        run: Airflow's id of the run, or the name of the run's folder.
        model: the model's name; needed when runs of several models have the same id.

    Raises:
        NotFound: when there is no such run, or more than one.
    """
    suffix = "-" + hashlib.sha256(run.encode()).hexdigest()[:8]
    going_on = [(one.model, one.run) for one in open_runs(store)]

    def find(name: str) -> RunPaths | None:
        known = (own for other, own in going_on if other == name)
        folder = next((own for own in known if own == run or own.endswith(suffix)), None)
        folder = folder or _by_name(store, name, run) or _by_suffix(store, name, suffix)
        return None if folder is None else RunPaths(name, folder)

    names = [model] if model else store.children("models")[0]
    with ThreadPoolExecutor(max_workers=_READERS) as pool:
        matches = [paths for paths in pool.map(find, names) if paths is not None]
    if not matches:
        where = f"of {model}" if model else f"in {store.uri}"
        raise NotFound(f"no run {run!r} {where}; `decisions NAME` lists those that have ended")
    if len(matches) > 1:
        names = [paths.model for paths in matches]
        raise NotFound(
            f"runs of several models are called {run!r}: add --model, one of {', '.join(names)}"
        )
    return current_plan(store, matches[0]) if matches[0].run != run else matches[0]


def run_state(store: Store, paths: RunPaths) -> DecisionRecord | RunManifest | None:
    """Return a run's newest decision record, or its plan while it has none."""
    for key in keys_of_run(store, paths.model, paths.first_plan):
        record = read_record(store, key)
        if record is not None:
            return corrected_by_log(store, record)
    return find_manifest(store, paths)


def _by_name(store: Store, model: str, run: str) -> str | None:
    """Return the name of a run's folder, if there is such a run."""
    if not _RUN_NAME.fullmatch(run):
        return None
    paths = RunPaths(model, run)
    is_there = keys_of_run(store, model, run) or any(store.children(paths.folder))
    return run if is_there else None


def _by_suffix(store: Store, model: str, suffix: str) -> str | None:
    """Return the name of a run whose name ends with what its id becomes; the newest first."""
    for key in newest_decision_keys(store, model):
        name = _DECISION_NAME.search(key)
        if name is not None and name[1].endswith(suffix):
            return name[1]
    planned = store.children(f"{model_folder(model)}/runs")[0]
    return next((folder for folder in sorted(planned) if folder.endswith(suffix)), None)
