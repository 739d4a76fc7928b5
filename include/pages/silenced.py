"""The silences that a reader sees on every page while they last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.orchestration.runtime.run_reference import DAG_PREFIX
from include.pages import store_access, urls
from include.pages.access import may_trigger, readable
from include.retraining.config.notice_kind import NoticeKind
from include.retraining.formatting.text import default_title
from include.retraining.notifications.silences import open_silences
from include.retraining.store.object_store import Store

DAG_ID = "silence_alerts"


@dataclass(frozen=True)
class Silenced:
    """Messages of a kind about a model, which are not sent for a while."""

    model: str
    title: str
    kind: NoticeKind
    until: datetime | None
    actor: str
    reason: str
    end: str | None
    """The form that ends it; None for who may not."""


def silenced(user: Any, store: Store) -> list[Silenced]:
    """Return the silences about models that a user may see, the newest first.

    Args:
        user: Airflow's, as `access.py` gives it.
        store: best a `CachingStore`.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    lasting = open_silences(store)
    if not lasting:
        return []
    allowed = readable(user, {DAG_PREFIX + one.model for one in lasting})
    may_end = may_trigger(user, DAG_ID)
    return [
        Silenced(
            model=one.model,
            title=_title(one.model),
            kind=one.kind,
            until=one.until,
            actor=one.actor,
            reason=one.reason,
            end=_form(one.model, one.kind) if may_end else None,
        )
        for one in lasting
        if DAG_PREFIX + one.model in allowed
    ]


def _title(model: str) -> str:
    config = store_access.config_of(model)
    return config.title if config else default_title(model)


def _form(model: str, kind: NoticeKind) -> str:
    return urls.trigger_link(DAG_ID, {"model": model, "kind": kind.value, "action": "end"})
