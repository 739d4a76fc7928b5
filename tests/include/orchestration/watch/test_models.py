"""The watch tells of an entry or a record that is no longer as it saw it."""

from __future__ import annotations

import pytest

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.watch import models
from include.orchestration.watch.models import check_model
from include.retraining.decisions.record_files import decision_keys
from include.retraining.notifications.outbox import deliver_waiting
from include.retraining.registry.promotion import Registry
from include.retraining.store.layout import promotion_key
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.run_factory import CONFIG, MODEL, decide, plant_run, version_name


@pytest.fixture
def watched(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store whose model is by hand only, so that nothing is due, with two promotions."""
    trigger = CONFIG.trigger.model_copy(update={"schedule": None})
    config = CONFIG.model_copy(update={"trigger": trigger})
    monkeypatch.setattr(models, "load_model", lambda name: config)
    monkeypatch.setattr(models, "is_paused", lambda dag_id: False)
    monkeypatch.setattr(models, "newest_runs", lambda dag_id, limit: iter(()))
    for number in (1, 2):
        decide(store, plant_run(store, number))
    deliver_waiting(store, lambda notice: None)  # what these decided was told
    return store


@pytest.mark.fault("G09")
def test_a_hold_that_disappears_is_told(
    watched: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """Told once for as long as it lasts, with the entry's name; and again when it is back (G09)."""
    Registry(watched, MODEL).rollback(version_name(1), actor="ann", reason="complaints")
    assert check_model(watched, MODEL, context()) == []
    entry = watched.read(promotion_key(MODEL, 3))
    watched.delete(promotion_key(MODEL, 3))
    for _ in range(2):
        (problem,) = check_model(watched, MODEL, context())
        assert "promotion_log: " in problem
    assert [text.count("00000003.json: it is missing") for text in slack.texts] == [1]
    assert "nothing is promoted or rolled back" in slack.texts[0]
    watched.create(promotion_key(MODEL, 3), entry)
    assert check_model(watched, MODEL, context()) == []
    assert "the promotion log can be read again" in slack.texts[-1]


@pytest.mark.fault("N02")
def test_a_record_that_disappears_is_told(
    watched: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """The log is whole, so that is not what the message says (N02)."""
    assert check_model(watched, MODEL, context()) == []
    key = decision_keys(watched, MODEL)[0]
    watched.delete(key)
    assert len(check_model(watched, MODEL, context())) == 1
    (text,) = slack.texts
    assert "a decision record is missing or was altered" in text
    assert f"{key}: it is missing" in text
