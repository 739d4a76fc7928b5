"""A silence is on every page of who may see its model, for as long as it lasts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.retraining.config.notice_kind import NoticeKind
from include.retraining.decisions.records import decisions
from include.retraining.notifications.silences import begin_silence, end_silence
from include.retraining.store.object_store import Store
from tests.include.pages.conftest import MODELS, Reader, connect
from tests.include.pages.test_app import text_of
from tests.support.large_store import crowded_store

LOAN, SECRET = MODELS


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two models, of which one is hidden from most, and a silence about each."""
    made = crowded_store((tmp_path / "s").as_uri(), models=2, decisions=4, first=MODELS)
    connect(monkeypatch, made.uri)
    for model in MODELS:
        begin_silence(
            made,
            model,
            NoticeKind.BROKEN,
            hours=8,
            reason=f"the cluster of {model} moves",
            actor="ann",
            request=f"silence_alerts/{model}",
            due=datetime.now(UTC),
        )
    return made


def pages(store: Store) -> list[str]:
    """The list, a model, and a run."""
    run = next(decisions(store, LOAN)).run
    return ["/models", f"/models/{LOAN}", f"/models/{LOAN}/runs/{run}"]


def test_a_silence_is_on_every_page_while_it_lasts(user: Reader, store: Store) -> None:
    """With its kind, end, actor and reason; what a user may not see is not named."""
    for path in pages(store):
        text = text_of(user.get(path).text)
        assert "messages of the kind broken about Loan approval , by ann: the cluster of" in text
        assert "Silenced until" in text
        assert SECRET not in text
    end_silence(
        store,
        LOAN,
        NoticeKind.BROKEN,
        reason="it moved",
        actor="bob",
        request="silence_alerts/end",
        due=datetime.now(UTC),
    )
    for path in pages(store):
        assert "Silenced until" not in user.get(path).text


def test_who_may_start_it_finds_the_form_that_ends_it(
    user: Reader, viewer: Reader, store: Store
) -> None:
    """Filled in; a viewer reads the silence alone."""
    assert "/dags/silence_alerts?fill=" in user.get("/models").text
    page = viewer.get("/models").text
    assert "Silenced until" in page
    assert "silence_alerts" not in page
