"""The page of one run: what it decided, on which data, by which code, and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from include.pages import store_access
from include.pages.airflow_state import read_dags
from include.pages.card_html import Card, read_card
from include.pages.models_page import title_of
from include.retraining.decisions.record import DecisionRecord
from include.retraining.decisions.record_files import keys_of_run
from include.retraining.exceptions import NotFound, RetrainingError
from include.retraining.history.lookup import find_run
from include.retraining.history.overview import Unreadable, read_decision, sentence_of
from include.retraining.history.undone import undone_by
from include.retraining.registry.entry import PromotionEntry
from include.retraining.runs.manifest import RunManifest, current_plan, find_manifest
from include.retraining.store.layout import RunPaths, run_key
from include.retraining.store.object_store import Store

RUN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,160}")
SHOWN_BY_PAGE = ("Decision", "Scores")
"""The sections of a model card whose tables stand on the page itself."""


@dataclass(frozen=True)
class RunPage:
    """All of the page."""

    model: str
    run: str
    """The run's folder name, which does not depend on the newest plan."""
    title: str
    """The model's."""
    decisions: Sequence[DecisionRecord | Unreadable]
    """One for each time it was decided, the newest first; none while it is running."""
    manifest: RunManifest | None
    card: Card | None
    """The model card as HTML, without what the page shows itself; None where there is none."""
    undone: PromotionEntry | None
    """The rollback that took back what it promoted."""
    waits_for_person: bool
    """Whether it waits for an approval."""
    problems: Sequence[str]

    @property
    def record(self) -> DecisionRecord | None:
        """The newest decision that can be read."""
        return next((one for one in self.decisions if isinstance(one, DecisionRecord)), None)


def run_page(store: Store, model: str, run: str, root: str, *, is_known: bool = False) -> RunPage:
    """Gather the page.

    Args:
        store: best a `CachingStore`.
        model: its name.
        run: the run's folder name.
        root: the path below which our pages are.
        is_known: whether Airflow has such a run, which has left nothing before it is planned.

    Raises:
        NotFound: when the store holds nothing of such a run, and Airflow does not know it.
        StorageError: when the store refuses to list, or does not answer.
    """
    if not RUN_NAME.fullmatch(run) or set(run) == {"."}:
        raise NotFound(f"{run!r} is not the name of a run")
    first = RunPaths(model, run).first_plan
    decisions = [read_decision(store, key) for key in keys_of_run(store, model, first)]
    record = next((one for one in decisions if isinstance(one, DecisionRecord)), None)
    problems: list[str] = []
    manifest, card, undone = None, None, None
    try:
        paths = current_plan(store, RunPaths(model, first))
        manifest = find_manifest(store, paths)
        pictures = f"{root}/models/{model}/runs/{paths.run}/card"
        shown = SHOWN_BY_PAGE if record and record.verdict and record.report else ()
        card = read_card(store, paths, pictures, without=shown)
        undone = undone_by(store, record) if record else None
    except RetrainingError as error:
        problems.append(sentence_of(error))
    if not (decisions or manifest or problems or is_known):
        raise NotFound(f"{model}: the store holds no plan and no decision of the run {run}")
    return RunPage(
        model=model,
        run=first,
        title=title_of(model, store_access.config_of(model), record),
        decisions=decisions,
        manifest=manifest,
        card=card,
        undone=undone,
        waits_for_person=record is None and manifest is not None and _waits(manifest),
        problems=tuple(problems),
    )


def _waits(manifest: RunManifest) -> bool:
    return read_dags([manifest.dag_id])[manifest.dag_id].waits_for_person == manifest.run_id


def run_of(store: Store, model: str, run_id: str, run_after: datetime | None) -> str:
    """Return the folder name of one of Airflow's runs.

    Args:
        store: with the run.
        model: its name.
        run_id: Airflow's id.
        run_after: when it was due, where Airflow knows the run; else the store is searched.

    Raises:
        NotFound: when neither knows it.
    """
    if run_after is not None:
        return run_key(run_id, run_after)
    return find_run(store, run_id, model).first_plan
