"""Remove from the store what no one needs, over all models: what `gc --delete` does."""

from __future__ import annotations

import logging

from airflow.sdk import get_current_context

from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.supervisor import die_with_parent
from include.retraining.exceptions import RetrainingError

log = logging.getLogger(__name__)


def remove_garbage() -> str:
    """Remove old versions, unfinished attempts and sent messages; return how much, in a sentence.

    Raises:
        RetrainingError: at the end, for each model whose promotion log is not sound: nothing of
            that model was removed.
    """
    from include.retraining.maintenance.gc import (
        Garbage,
        find_garbage,
        find_outbox_garbage,
        models_in,
        remove,
    )

    die_with_parent()
    with fail_permanent_errors():
        assert_own_bundle(get_current_context())
        store = open_store()
        garbage: list[Garbage] = []
        problems: list[str] = []
        for model in models_in(store):
            try:
                garbage += find_garbage(store, model)
            except RetrainingError as error:  # the other models are cleaned all the same
                problems.append(str(error))
        removed = remove(store, [*garbage, *find_outbox_garbage(store)])
        size = sum(item.size for item in removed) / 1e6
        words = f"removed {len(removed)} objects ({size:,.1f} MB)"
        log.info("%s", words)
        if problems:
            raise RetrainingError(f"{words}; not of every model: {'; '.join(problems)}")
        return words
