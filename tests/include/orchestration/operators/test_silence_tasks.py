"""`silence_alerts`: what its form takes, what is written, and who is notified."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.callbacks import manual_change
from include.orchestration.operators import silence_tasks
from include.orchestration.trigger_forms import request_form, silence_form
from include.retraining.config.model import load_model
from include.retraining.config.notice_kind import NoticeKind
from include.retraining.notifications.silences import MAX_HOURS, open_silences
from include.retraining.store.object_store import Store
from tests.support.run_callbacks import run_in
from tests.support.run_factory import MODEL


@pytest.fixture
def asked(store: Store, slack: SlackReceiver, context: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the context of the task, with what was typed; it runs now."""
    from datetime import UTC, datetime

    config = load_model("diabetes_progression").model_copy(update={"name": MODEL})
    monkeypatch.setattr(request_form, "model_names", lambda: [MODEL])
    monkeypatch.setattr(manual_change, "model_names", lambda: [MODEL])
    monkeypatch.setattr(manual_change, "load_model", lambda name: config)
    names = iter(range(100))

    def make(**conf: Any) -> Any:
        typed = {"model": MODEL, "kind": "broken", "reason": "being mended", **conf}
        now = context(
            dag_id="silence_alerts",
            run_id=f"manual__{next(names)}",
            run_after=datetime.now(UTC),
            conf=typed,
        )
        return {**now, "params": {}}

    return make


def test_a_silence_is_written_and_said(asked: Any, store: Store, slack: SlackReceiver) -> None:
    """By whom, why and until when; a second try makes no second one and says it once."""
    now = asked(hours=2)
    first = run_in(now, silence_tasks.change_silence)
    assert run_in(now, silence_tasks.change_silence) == first
    (silence,) = open_silences(store)
    assert (silence.id, silence.actor, silence.reason) == (first["id"], "ada", "being mended")
    assert silence.kind is NoticeKind.BROKEN
    (text,) = slack.texts
    assert "`broken` messages are silenced until" in text
    assert "by ada" in text


def test_a_silence_is_ended_early(asked: Any, store: Store, slack: SlackReceiver) -> None:
    """The end is said too, even where good news are silenced."""
    run_in(asked(kind="good_news"), silence_tasks.change_silence)
    ended = run_in(asked(kind="good_news", action="end"), silence_tasks.change_silence)
    assert ended["until"] is None
    assert open_silences(store) == []
    assert "`good_news` messages are sent again" in slack.texts[-1]


@pytest.mark.parametrize(
    ("conf", "says"),
    [
        ({"hours": 0}, "hours: must be a whole number from 1 to 336, is 0"),
        ({"hours": "8"}, "hours: must be a whole number from 1 to 336, is '8'"),
        ({"kind": "all"}, "kind: must be one of broken, rejected, waiting, good_news, is 'all'"),
        ({"action": "stop"}, "action: must be one of begin, end, is 'stop'"),
        ({"model": "nobody"}, "model: must be one of"),
        ({"reason": None}, "reason: is missing"),
        ({"until": "tomorrow"}, "unknown parameter 'until'"),
        ({"action": "end"}, "no message of the kind broken about"),
    ],
)
def test_what_is_not_allowed_changes_nothing(
    asked: Any, store: Store, conf: dict[str, Any], says: str
) -> None:
    """The field, what is allowed, and no retry."""
    with pytest.raises(AirflowFailException, match=says):
        run_in(asked(**conf), silence_tasks.change_silence)
    assert open_silences(store) == []


def test_a_failure_is_said(asked: Any, slack: SlackReceiver) -> None:
    """That nothing changed, and why."""
    now = {**asked(hours=0), "exception": ValueError("planted")}
    manual_change.notify_failed_silence(now)
    (text,) = slack.texts
    assert "the silences are as they were" in text


def test_what_was_done_before_a_failure_is_said(
    asked: Any, store: Store, slack: SlackReceiver
) -> None:
    """A task that is killed once the entry lies there has silenced: nobody is told otherwise."""
    now = asked()
    run_in(now, silence_tasks.change_silence)
    for info in store.children("outbox")[1]:
        store.delete(info.key)  # it died before the message
    manual_change.notify_failed_silence({**now, "exception": ValueError("planted")})
    assert len(open_silences(store)) == 1
    assert "`broken` messages are silenced until" in slack.texts[-1]
    assert not any("as they were" in text for text in slack.texts)


def test_the_form_and_the_code_have_one_limit() -> None:
    """The form is made without importing what keeps silences."""
    assert silence_form.MAX_HOURS == MAX_HOURS
    form: Any = silence_form.silence_params()
    assert form["hours"].schema["maximum"] == MAX_HOURS
    assert set(form["kind"].schema["enum"]) == {kind.value for kind in NoticeKind}
