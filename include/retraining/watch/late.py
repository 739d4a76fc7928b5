"""A run that has not decided by its deadline: who waits for whom, and the message."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from include.retraining.decisions.record_files import keys_of_run
from include.retraining.exceptions import EvidenceError
from include.retraining.gate.verdict import Verdict
from include.retraining.notifications.notice import Links, Notice, NoticeKind, alert, run_topic
from include.retraining.runs.manifest import current_plan, find_manifest
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

RUNBOOK = "late"


def has_decided(store: Store, paths: RunPaths) -> bool:
    """Return whether a run has a decision record, of any clear."""
    return bool(keys_of_run(store, paths.model, paths.first_plan))


def waits_for_person(store: Store, paths: RunPaths) -> bool:
    """Return whether a run passed the gate and only waits for its manual approval.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    plan = current_plan(store, paths)
    try:
        manifest = find_manifest(store, plan)
        if manifest is None or manifest.config.get("approval") != "required":
            return False
        if manifest.params.dry_run:
            return False  # no approval is needed
        names = [info.key.rpartition("/")[2] for info in store.children(plan.folder)[1]]
        clears = [int(m[1]) for name in names if (m := re.fullmatch(r"verdict-(\d+)\.json", name))]
        if not clears:
            return False
        key = plan.verdict(max(clears))
        verdict = Verdict.from_bytes(store.read(key), where=key)
    except EvidenceError:
        return False  # an unreadable verdict cannot be approved
    return verdict.passed and not store.exists(plan.approval(max(clears)))


def late_notice(
    *,
    model: str,
    run: str,
    title: str,
    owner: str | None,
    deadline: str,
    state: str,
    serving: str | None,
    links: Links,
) -> Notice:
    """Return the message that a run has not decided some time after its start.

    Args:
        model: whose.
        run: the run's own name (`layout.run_key`).
        title: the model's title.
        owner: who answers for it, where that is known.
        deadline: as written in the model's YAML.
        state: of the run, as Airflow calls it.
        serving: the champion meanwhile, as text.
        links: where to look.
    """
    return alert(
        event="late",
        kind=NoticeKind.BROKEN,
        key=f"{model}.{run}.late",
        title=title,
        model=model,
        headline="a run has not decided by its deadline",
        why=f"It must have decided {deadline}; at {datetime.now(UTC):%H:%M} UTC it was {state}.",
        step="Open the run and check the task that is not done: what does it wait for?",
        owner=owner,
        serving=serving,
        links=links,
        runbook=RUNBOOK,
        topic=run_topic(model, run),
    )
