"""The least time between two promotions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from include.retraining.decisions.record import FINISHED, Outcome
from include.retraining.documents import canonical_json, sha256_of
from include.retraining.exceptions import TooSoon
from include.retraining.registry.entry import PromotionEntry
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_rules import promoted_too_recently
from include.retraining.runs.manifest import RunManifest, read_manifest
from include.retraining.steps.plan import why_pointless
from include.retraining.store.object_store import Store
from tests.support.gate_checks import make_policy
from tests.support.promotions import promote, promote_days
from tests.support.run_factory import MODEL, WEEKLY, decide, plant_run, version_name

WEEK = timedelta(days=7)
MICROSECOND = timedelta(microseconds=1)


def weekly(store: Store, number: int, **params: Any) -> RunManifest:
    """The plan of one day's run, of a model that is promoted once a week at most."""
    return read_manifest(store, plant_run(store, number, config=WEEKLY, **params).paths)


def too_soon(store: Store, manifest: RunManifest, now: datetime) -> str | None:
    """What the rule says at a time."""
    log = Registry(store, MODEL).log
    champion = log.champion()
    assert champion is not None
    return promoted_too_recently(manifest, log, champion, now)


def test_the_least_time_has_passed_at_its_very_end(folder: Store) -> None:
    """A week after the promotion the next one may be made, and a microsecond before it may not."""
    [entry] = promote_days(folder, 1)
    manifest = weekly(folder, 2)
    early = too_soon(folder, manifest, entry.created_at + WEEK - MICROSECOND)
    assert early is not None
    assert f"version {version_name(1)} was promoted at " in early
    assert "gates.min_days_between_promotions is 7: the next promotion is at " in early
    assert too_soon(folder, manifest, entry.created_at + WEEK) is None


def test_without_the_rule_any_time_will_do(folder: Store) -> None:
    """A model without `min_days_between_promotions` may be promoted a moment later."""
    [entry] = promote_days(folder, 1)
    manifest = read_manifest(folder, plant_run(folder, 2).paths)
    assert too_soon(folder, manifest, entry.created_at) is None


def test_a_forced_run_with_a_reason_need_not_wait(folder: Store) -> None:
    """Forcing with a reason overrides the rule; a reason alone or forcing alone does not."""
    [entry] = promote_days(folder, 1)
    now = entry.created_at
    assert too_soon(folder, weekly(folder, 2, reason="urgent"), now) is not None
    assert too_soon(folder, weekly(folder, 3, force_retrain=True), now) is not None
    assert too_soon(folder, weekly(folder, 4, force_retrain=True, reason="urgent"), now) is None


def _rolled_back_and_released(store: Store) -> tuple[PromotionEntry, PromotionEntry]:
    first, second = promote_days(store, 1, 2)
    registry = Registry(store, MODEL)
    registry.rollback(version_name(1), actor="ann", reason="it refuses everyone")
    registry.release(actor="ann", reason="the labels are repaired")
    return first, second


def test_a_rollback_ends_the_wait(folder: Store) -> None:
    """After a rollback it counts from the promotion of the version that serves again."""
    first, second = _rolled_back_and_released(folder)
    manifest = weekly(folder, 3)
    assert first.created_at < second.created_at
    assert too_soon(folder, manifest, first.created_at + WEEK - MICROSECOND) is not None
    assert too_soon(folder, manifest, first.created_at + WEEK) is None


def test_the_registry_refuses_a_promotion_too_soon(folder: Store) -> None:
    """It is checked at the entry itself; a run that promoted already gets the entry that it has."""
    first = plant_run(folder, 1, config=WEEKLY)
    entry = promote(folder, first)
    with pytest.raises(TooSoon, match="min_days_between_promotions is 7"):
        promote(folder, plant_run(folder, 2, config=WEEKLY))
    assert promote(folder, first) == entry


def test_a_run_too_soon_trains_nothing(folder: Store) -> None:
    """It ends as `too_soon` before its training, which a dry run does not."""
    manifest = weekly(folder, 1)
    assert why_pointless(folder, manifest) is None, "nothing serves yet"
    promote_days(folder, 1)
    pointless = why_pointless(folder, weekly(folder, 2))
    assert pointless is not None
    assert pointless[0] is Outcome.TOO_SOON
    assert why_pointless(folder, weekly(folder, 3, dry_run=True)) is None


def test_a_run_too_soon_uses_up_no_flag(folder: Store) -> None:
    """A challenger that passed too soon is recorded as `too_soon`, and its delivery waits."""
    promote_days(folder, 1)
    record = decide(folder, plant_run(folder, 2, config=WEEKLY))
    assert record.outcome is Outcome.TOO_SOON
    assert Outcome.TOO_SOON not in FINISHED


def test_another_least_time_is_another_rule() -> None:
    """A rule that came later changes the digest of those policies only that have it."""
    fortnightly = make_policy({"min_days_between_promotions": 14})
    digests = {make_policy().digest, WEEKLY.gates.digest, fortnightly.digest}
    assert len(digests) == 3
    rules = make_policy().model_dump(mode="json")
    for later in ("own_metrics", "min_days_between_promotions", "calibration"):
        del rules[later]
    assert make_policy().digest == sha256_of(canonical_json(rules))
