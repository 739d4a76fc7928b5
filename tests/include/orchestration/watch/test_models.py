"""The watch tells of an entry or a record that is no longer as it saw it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.watch import models
from include.orchestration.watch.follow_runs import close_dead_runs
from include.orchestration.watch.models import check_model, check_models
from include.retraining.decisions.record import Outcome
from include.retraining.decisions.record_files import decision_keys
from include.retraining.exceptions import RetrainingError, StorageError
from include.retraining.notifications.outbox import deliver_waiting
from include.retraining.registry.promotion import Registry
from include.retraining.runs.journal import open_runs, record_run_start
from include.retraining.steps.close_run import close_run
from include.retraining.store.layout import CHECKED_MODELS, grade_key, promotion_key
from include.retraining.store.object_store import Store
from include.retraining.watch import alarms
from include.retraining.watch.progress import (
    FULL_CHECK,
    CheckedModels,
    is_full_check_due,
    read_checked,
)
from tests.support.contexts import MakeContext
from tests.support.counting_store import CountingStore
from tests.support.planted_grades import plant_grades
from tests.support.run_factory import CONFIG, MODEL, decide, plant_run, run_ref, version_name


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
    assert check_model(watched, MODEL, context()).raised == []
    entry = watched.read(promotion_key(MODEL, 3))
    watched.delete(promotion_key(MODEL, 3))
    for _ in range(2):
        (problem,) = check_model(watched, MODEL, context()).raised
        assert "promotion_log: " in problem
    assert [text.count("00000003.json: it is missing") for text in slack.texts] == [1]
    assert "nothing is promoted or rolled back" in slack.texts[0]
    watched.create(promotion_key(MODEL, 3), entry)
    assert check_model(watched, MODEL, context()).raised == []
    assert "the promotion log can be read again" in slack.texts[-1]


@pytest.mark.fault("W01")
def test_a_champion_that_decayed_is_notified(
    watched: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """Once for as long as it lasts, by two grades in a row; a good one ends it (W01)."""
    champion = Registry(watched, MODEL).log.champion()
    assert champion is not None
    plant_grades(watched, champion, 0.70)
    assert check_model(watched, MODEL, context()).raised == []
    plant_grades(watched, champion, 0.71, first=1)
    for _ in range(2):
        (problem,) = check_model(watched, MODEL, context()).raised
        assert problem.startswith("decayed: ")
    assert [text.count("roc auc 0.71, promised 0.85") for text in slack.texts] == [1]
    assert "scores worse than its gate promised" in slack.texts[0]
    plant_grades(watched, champion, None, first=2)
    assert check_model(watched, MODEL, context()).raised == []
    assert len(slack.texts) == 1
    plant_grades(watched, champion, 0.85, first=3)
    assert check_model(watched, MODEL, context()).raised == []
    assert "scores as promised again" in slack.texts[-1]


@pytest.mark.fault("W01")
def test_another_version_ends_the_decay_of_the_one_before(
    watched: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """The alarm is about the champion, and the next one has not been graded yet (W01)."""
    champion = Registry(watched, MODEL).log.champion()
    assert champion is not None
    plant_grades(watched, champion, 0.70, 0.70)
    assert len(check_model(watched, MODEL, context()).raised) == 1
    decide(watched, plant_run(watched, 3))
    assert check_model(watched, MODEL, context()).raised == []
    assert any("or another one serves" in text for text in slack.texts)


@pytest.mark.fault("W02")
def test_a_grade_that_cannot_be_read_is_no_health(
    watched: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """The alarm stays as it is, and the model's other conditions are checked (W02)."""
    champion = Registry(watched, MODEL).log.champion()
    assert champion is not None
    (_, newest) = plant_grades(watched, champion, 0.70, 0.71)
    assert len(check_model(watched, MODEL, context()).raised) == 1
    watched.write(grade_key(MODEL, "delivery", newest.window, newest.version), b"{")
    assert check_model(watched, MODEL, context()).raised == []
    assert len(slack.texts) == 1


@pytest.mark.fault("N02")
def test_a_record_that_disappears_is_told(
    watched: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """The log is whole, so that is not what the message says (N02)."""
    assert check_model(watched, MODEL, context()).raised == []
    key = decision_keys(watched, MODEL)[0]
    watched.delete(key)
    assert len(check_model(watched, MODEL, context()).raised) == 1
    (text,) = slack.texts
    assert "a decision record is missing or was altered" in text
    assert f"{key}: it is missing" in text


@pytest.fixture
def counted(watched: Store) -> CountingStore:
    """The same store, counting its requests."""
    return CountingStore(watched.uri, watched.options)


def look(store: CountingStore, context: MakeContext) -> list[str]:
    """Let the watch check its one model, and count from zero what that asks of the store."""
    store.counts.clear()
    return models.check_models(store, context(), [MODEL])


def test_a_model_of_which_nothing_is_new_costs_three_requests(
    counted: CountingStore, slack: SlackReceiver, context: MakeContext
) -> None:
    """Beside four for all models together; an entry or a record more has it checked in full."""
    look(counted, context)
    for _ in range(2):
        assert look(counted, context) == []
        assert counted.counts == {"LIST": 1, "GET": 3 + 2, "HEAD": 1}
    Registry(counted, MODEL).rollback(version_name(1), actor="ann", reason="complaints")
    assert look(counted, context) == []
    assert counted.total > 10
    assert look(counted, context) == []
    assert counted.total == 7
    assert read_checked(counted).models[MODEL].head.key == promotion_key(MODEL, 3)


@pytest.mark.parametrize("what", ["record", "entry"])
def test_what_disappears_between_two_looks_is_told(
    counted: CountingStore, slack: SlackReceiver, context: MakeContext, what: str
) -> None:
    """Though nothing is new: both are compared in each pass."""
    look(counted, context)
    key = decision_keys(counted, MODEL)[0] if what == "record" else promotion_key(MODEL, 2)
    counted.delete(key)
    for _ in range(2):
        (problem,) = look(counted, context)
        assert f"{key}: it is missing" in problem
    assert len(slack.texts) == 1


def test_a_decision_is_noticed_by_its_marker_and_after_that_by_what_is_known(
    counted: CountingStore, slack: SlackReceiver, context: MakeContext
) -> None:
    """Whether the markers were read before or after it is removed."""
    look(counted, context)
    for number, is_removed in ((3, False), (4, True)):
        run = run_ref(number)
        record_run_start(counted, run, airflow="http://here")
        assert look(counted, context) == []
        close_run(counted, run, Outcome.NO_CHANGE, "nothing changed")
        if is_removed:
            close_dead_runs(counted, context(), [])
            assert open_runs(counted) == []
        assert look(counted, context) == []
        record = read_checked(counted).models[MODEL].record
        assert record is not None
        assert record.key == run.paths.decision(0)


@pytest.mark.parametrize("is_killed", [True, False], ids=["killed", "failed"])
def test_an_alarm_of_a_pass_that_did_not_end_is_over_when_it_is(
    watched: Store,
    slack: SlackReceiver,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
    is_killed: bool,
) -> None:
    """Its cause may be gone by the next pass, which notifies of that: so it may be raised anew."""
    check_models(watched, context(), [MODEL])
    update = alarms.update_alarms

    def end_after_it(*words: Any, **more: Any) -> None:
        update(*words, **more)
        raise KeyboardInterrupt if is_killed else StorageError("no answer")

    entry = watched.read(promotion_key(MODEL, 2))
    watched.delete(promotion_key(MODEL, 2))
    with monkeypatch.context() as pass_that_ends:
        pass_that_ends.setattr(alarms, "update_alarms", end_after_it)
        with pytest.raises(KeyboardInterrupt if is_killed else RetrainingError):
            check_models(watched, context(), [MODEL])
    watched.create(promotion_key(MODEL, 2), entry)
    assert check_models(watched, context(), [MODEL]) == []
    assert ["it is missing" in text for text in slack.texts] == [True, False]


def test_each_model_is_checked_in_full_once_a_day(
    counted: CountingStore, slack: SlackReceiver, context: MakeContext
) -> None:
    """A gap in the middle of the log is found then."""
    look(counted, context)
    counted.delete(promotion_key(MODEL, 1))
    assert look(counted, context) == []
    seen = read_checked(counted)
    earlier = seen.models[MODEL].checked_at - FULL_CHECK
    old = seen.models[MODEL].model_copy(update={"checked_at": earlier})
    counted.write(CHECKED_MODELS, CheckedModels(models={MODEL: old}).to_bytes())
    (problem,) = look(counted, context)
    assert "00000001.json" in problem


def test_models_have_their_full_checks_at_different_times() -> None:
    """Once a day each, and also after passes that were left out."""
    start = datetime(2026, 1, 10, tzinfo=UTC)
    names = [f"model_{number}" for number in range(300)]
    due: list[int] = []
    last = dict.fromkeys(names, start - FULL_CHECK)
    for number in range(2 * 288):
        now = start + timedelta(minutes=5 * number)
        found = [name for name in names if is_full_check_due(name, last[name], now)]
        due.append(len(found))
        last |= dict.fromkeys(found, now)
    assert sum(due[1:]) == 2 * len(names)
    assert max(due[1:]) < 10
    assert is_full_check_due("a", start, start + 3 * FULL_CHECK)
    assert is_full_check_due("a", None, start)
