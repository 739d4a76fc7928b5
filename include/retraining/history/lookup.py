"""Finding a run by its id or its date."""

from __future__ import annotations

import hashlib
import re

from include.retraining.decisions.record import DecisionRecord
from include.retraining.decisions.records import decisions
from include.retraining.exceptions import NotFound
from include.retraining.runs.manifest import RunManifest, current_plan, find_manifest
from include.retraining.store.layout import RunPaths, decisions_folder, model_folder
from include.retraining.store.object_store import Store

_DECISION_NAME = re.compile(r"([^/]+)\.[0-9]{3,}\.json$")


def find_run(store: Store, run: str, model: str | None = None) -> RunPaths:
    """Return the newest plan of a run.

    Args:
        store: the store.
        run: Airflow's id of the run, or the name of the run's folder.
        model: the model's name; needed when runs of several models have the same id.

    Raises:
        NotFound: when there is no such run, or more than one.
    """
    suffix = "-" + hashlib.sha256(run.encode()).hexdigest()[:8]
    matches = [
        RunPaths(name, folder)
        for name in ([model] if model else store.children("models")[0])
        for folder in sorted(_runs(store, name))
        if folder == run or folder.endswith(suffix)
    ]
    if not matches:
        where = f"of {model}" if model else f"in {store.uri}"
        raise NotFound(f"no run {run!r} {where}; `decisions NAME` lists those that have ended")
    if len(matches) > 1:
        names = ", ".join(paths.model for paths in matches)
        raise NotFound(f"runs of several models are called {run!r}: add --model, one of {names}")
    return current_plan(store, matches[0]) if matches[0].run != run else matches[0]


def run_state(store: Store, paths: RunPaths) -> DecisionRecord | RunManifest | None:
    """Return a run's newest decision record, or its plan while it has none."""
    for record in decisions(store, paths.model):
        if record.run == paths.first_plan:
            return record
    return find_manifest(store, paths)


def _runs(store: Store, model: str) -> set[str]:
    """Return the names of the runs that were planned or decided."""
    planned = store.children(f"{model_folder(model)}/runs")[0]
    decided = store.children(decisions_folder(model))[1]
    names = (_DECISION_NAME.search(info.key) for info in decided)
    return {*planned, *(name[1] for name in names if name)}
