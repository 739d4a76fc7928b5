"""A decision is called the same everywhere."""

from __future__ import annotations

import pytest

from include.retraining.decisions.phrases import HAPPENED, decision_sentence
from include.retraining.decisions.record import Outcome
from include.retraining.history.explain import why
from include.retraining.notifications.decision_notice import kind_of, notice_for
from include.retraining.notifications.notice import Links
from include.retraining.steps.close_run import close_run
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.run_factory import MODEL, decide, plant_run


@pytest.mark.parametrize("outcome", list(Outcome))
def test_why_message_and_pages_say_the_same(folder_store: Store, outcome: Outcome) -> None:
    """`why` holds the sentence, and the message's first line what happened in it."""
    store = initialise(folder_store.uri, {})
    decide(store, plant_run(store, 1))
    run = plant_run(store, 2)
    if outcome is Outcome.PROMOTED:
        record = decide(store, run)
    else:
        record = close_run(store, run, outcome, "because of it.")
    sentence = decision_sentence(record)
    assert why(store, MODEL).startswith(f"{sentence}; ")
    notice = notice_for(record, Links())
    assert (notice is None) == (kind_of(outcome) is None)
    if notice is not None:
        assert HAPPENED[outcome] in notice.text.splitlines()[0]
    if outcome is not Outcome.PROMOTED:
        assert HAPPENED[outcome] in sentence


def test_every_outcome_has_words() -> None:
    """A new way to end does not end in a missing word."""
    assert set(HAPPENED) == set(Outcome)
