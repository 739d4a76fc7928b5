"""All models at a glance: what can be read is there, whatever cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.pages.store_cache import CachingStore, ObjectCache
from include.retraining.decisions.record_files import decision_keys
from include.retraining.decisions.records import decisions
from include.retraining.history.overview import (
    ModelSummary,
    OverviewCache,
    Unreadable,
    recent_decisions,
    summarize_model,
    summarize_models,
)
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.layout import decisions_folder, promotion_key, watch_key
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.large_store import crowded_store, damage

NAMES = ("aa", "bb", "cc", "dd", "ee", "ff", "gg")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Seven models with six decisions each."""
    return crowded_store((tmp_path / "s").as_uri(), models=7, decisions=42, first=NAMES)


def glance(store: Store, cache: OverviewCache, *, entries: int = 50) -> dict[str, ModelSummary]:
    """One look at all models."""
    look = CachingStore(store, ObjectCache())
    found = summarize_models(look, NAMES, entries=entries, cache=cache)
    return {one.model: one for one in found}


def test_a_glance_is_what_the_log_and_the_records_say(store: Store) -> None:
    """What serves, since when, the hold, the newest decision, and what is raised."""
    seen = glance(store, OverviewCache(), entries=5)
    assert tuple(seen) == NAMES
    for name, one in seen.items():
        log = PromotionLog(store, name)
        assert one.problems == ()
        assert one.champion == log.champion()
        assert one.hold == log.hold()
        assert one.newest == next(decisions(store, name))
        assert one.promotion is not None
        assert list(one.entries) == log.history()[::-1][:5]
    assert seen["ee"].hold is not None
    assert list(seen["gg"].raised) == ["late"]
    assert seen["aa"].raised == {}


def test_a_model_without_a_trace_is_seen_as_such(tmp_path: Path) -> None:
    """Nothing serves, nothing was decided, and nothing is wrong."""
    store = initialise((tmp_path / "s").as_uri(), {})
    seen = summarize_model(store, "new_model", entries=5)
    assert (seen.champion, seen.newest, seen.hold) == (None, None, None)
    assert (seen.raised, seen.problems) == ({}, ())


def test_damage_is_a_sentence_beside_what_can_be_read(store: Store) -> None:
    """A log, a record or a note of the watch that is damaged hides nothing else."""
    damage(store, promotion_key("aa", 1))
    damage(store, decision_keys(store, "bb")[0])
    damage(store, watch_key("models/gg"))
    seen = glance(store, OverviewCache())
    assert seen["aa"].champion is None
    assert seen["aa"].newest is not None
    assert "promotions/00000001.json" in seen["aa"].problems[0]
    assert seen["bb"].newest is None
    assert seen["bb"].champion is not None
    assert decision_keys(store, "bb")[0] in seen["bb"].problems[0]
    assert seen["gg"].raised == {}
    assert len(seen["gg"].problems) == 1
    assert seen["cc"].problems == ()


def test_what_did_not_change_is_what_was_seen(store: Store) -> None:
    """The very same, until an entry, a decision or a note of the watch is new."""
    cache = OverviewCache()
    first, second = glance(store, cache), glance(store, cache)
    assert all(first[name] is second[name] for name in NAMES)
    key = decision_keys(store, "aa")[0]
    store.write(key.replace(".000.json", ".001.json"), store.read(key))
    store.write(watch_key("models/bb"), store.read(watch_key("models/gg")))
    store.write(promotion_key("cc", 99), b"{}")
    third = glance(store, cache)
    assert [name for name in NAMES if third[name] is not first[name]] == ["aa", "bb", "cc"]
    assert list(third["bb"].raised) == ["late"]
    assert "numbering is broken" in third["cc"].problems[0]
    store.delete(promotion_key("cc", 99))
    assert glance(store, cache)["cc"].problems == ()


def test_decisions_come_newest_first_and_in_pages(store: Store) -> None:
    """Each is on one page, and one that cannot be read takes its place."""
    keys = decision_keys(store, "aa")
    damage(store, keys[1])
    first, behind = recent_decisions(store, "aa", limit=4)
    second, end = recent_decisions(store, "aa", limit=4, before=behind)
    assert [len(first), len(second)] == [4, 2]
    assert (behind, end) == (keys[3], None)
    assert isinstance(first[1], Unreadable)
    assert first[1].key == keys[1]
    runs = [one.run for one in (*first, *second) if not isinstance(one, Unreadable)]
    folder = decisions_folder("aa")
    assert [f"{folder}/{run}.000.json" for run in runs] == [keys[0], *keys[2:]]
