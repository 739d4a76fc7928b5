"""What a person changes in the registry: rollback, hold, release, and a version nobody judged."""

from __future__ import annotations

from typing import Any

import pytest

from include.retraining.exceptions import (
    ArtifactError,
    Held,
    NotFound,
    RegistryError,
    StoreRefused,
    Superseded,
)
from include.retraining.history.verify import verify
from include.retraining.registry.entry import PromotionKind
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store import layout
from include.retraining.store.object_store import Store
from tests.support.invariants import check_invariants
from tests.support.promotions import promote, promote_days
from tests.support.run_factory import MODEL, plant_run, plant_version, saved_model, version_name

# Rollback.


@pytest.mark.fault("G10")
def test_rollback_is_one_more_entry(store: Store) -> None:
    """A rollback lets an earlier version serve, with the same files and score, and says who."""
    first, _ = promote_days(store, 1, 2)
    registry = Registry(store, MODEL)
    entry = registry.rollback(version_name(1), actor="ann", reason="complaints")
    assert (entry.generation, entry.kind) == (3, PromotionKind.ROLLBACK)
    assert (entry.version, entry.version_digest) == (first.version, first.version_digest)
    assert (entry.metric, entry.value, entry.data_date) == ("accuracy", 0.86, first.data_date)
    assert (entry.actor, entry.reason, entry.verdict_digest) == ("ann", "complaints", None)
    assert registry.log.champion() == entry
    check_invariants(store, MODEL)


def test_rollback_again_returns_the_same_entry(folder: Store) -> None:
    """A rollback that is tried again by the same actor for the same reason is the same one."""
    promote_days(folder, 1, 2)
    registry = Registry(folder, MODEL)
    entry = registry.rollback(version_name(1), actor="ann", reason="complaints")
    assert registry.rollback(version_name(1), actor="ann", reason="complaints") == entry
    with pytest.raises(RegistryError, match="serves already"):
        registry.rollback(version_name(1), actor="bob", reason="complaints")


def test_a_request_makes_one_entry(folder: Store) -> None:
    """A rollback whose answer was lost is found again; another one behind the same entry loses."""
    promote_days(folder, 1, 2)
    registry = Registry(folder, MODEL)
    asked: dict[str, Any] = {"actor": "ann", "reason": "complaints", "seen": 2}
    entry = registry.rollback(version_name(1), **asked, request="rollback_model/a")
    assert registry.rollback(version_name(1), **asked, request="rollback_model/a") == entry
    for other in ("rollback_model/b", None):
        with pytest.raises(Superseded, match="ann was faster"):
            registry.rollback(version_name(1), **asked, request=other)
    released = registry.release(actor="ann", reason="mended", request="release_model/a")
    assert released.request == "release_model/a"
    assert len(registry.log.history()) == 4


@pytest.mark.parametrize(
    ("version", "actor", "reason", "error", "text"),
    [
        (version_name(1), "", "x", RegistryError, "actor and a reason"),
        (version_name(1), "ann", "  ", RegistryError, "actor and a reason"),
        (version_name(1), "ann\nbob", "x", RegistryError, "the actor is no name"),
        (version_name(2), "ann", "x", RegistryError, "serves already"),
        (version_name(9), "ann", "x", NotFound, "never served"),
        ("../../etc", "ann", "x", NotFound, "never served"),
    ],
)
def test_rollbacks_that_are_refused(
    folder: Store, version: str, actor: str, reason: str, error: type[Exception], text: str
) -> None:
    """A rollback needs an actor, a reason, and a version that served and does not serve now."""
    promote_days(folder, 1, 2)
    plant_version(folder, 9)
    with pytest.raises(error, match=text):
        Registry(folder, MODEL).rollback(version, actor=actor, reason=reason)
    assert len(PromotionLog(folder, MODEL).history()) == 2


def test_no_rollback_to_damaged_files(folder: Store) -> None:
    """A version whose manifest or files changed since it served cannot serve again."""
    promote_days(folder, 1, 2)
    registry = Registry(folder, MODEL)
    key = f"{layout.version_folder(MODEL, version_name(1))}/0-1/model.skops"
    good = folder.read(key)
    folder.write(key, b"model X")
    with pytest.raises(ArtifactError, match="altered"):
        registry.rollback(version_name(1), actor="ann", reason="x")
    folder.write(key, good)
    manifest = layout.version_manifest_key(MODEL, version_name(1))
    folder.write(manifest, folder.read(manifest).replace(b'"train_rows": 1000', b'"train_rows": 1'))
    with pytest.raises(ArtifactError, match="altered"):
        registry.rollback(version_name(1), actor="ann", reason="x")


def test_no_rollback_before_the_first_promotion(folder: Store) -> None:
    """Where nothing serves there is nothing to go back from."""
    with pytest.raises(RegistryError, match="nothing serves yet"):
        Registry(folder, MODEL).rollback(version_name(1), actor="ann", reason="x")


# The hold, and its release.


def test_a_rollback_holds_promotion_until_a_release(store: Store) -> None:
    """No run promotes behind a rollback; a release leaves what serves, and the next promotes."""
    registry = Registry(store, MODEL)
    assert registry.log.hold() is None
    promote_days(store, 1, 2)
    assert registry.log.hold() is None
    rollback = registry.rollback(version_name(1), actor="ann", reason="complaints")
    assert registry.log.hold() == rollback
    with pytest.raises(Held, match=r"ann rolled back .*\(complaints\); .*`release_model`"):
        promote(store, plant_run(store, 3))
    release = registry.release(actor="bob", reason="labels repaired")
    assert (release.generation, release.kind, release.version) == (
        4,
        PromotionKind.RELEASE,
        version_name(1),
    )
    assert registry.log.hold() is None
    assert [entry.generation for entry in promote_days(store, 4)] == [5]
    check_invariants(store, MODEL)


def test_what_is_promoted_unjudged_keeps_the_hold(folder: Store) -> None:
    """Only a release ends a hold, whatever else a person does meanwhile."""
    promote_days(folder, 1, 2)
    registry = Registry(folder, MODEL)
    rollback = registry.rollback(version_name(1), actor="ann", reason="complaints")
    plant_version(folder, 3, model_bytes=saved_model())
    registry.promote_unjudged(version_name(3), actor="ann", reason="champion is lost")
    assert registry.log.hold() == rollback
    with pytest.raises(Held):
        promote(folder, plant_run(folder, 4))


def test_a_release_is_made_once(folder: Store) -> None:
    """The same release by the same person is the same one; without a hold there is none."""
    promote_days(folder, 1, 2)
    registry = Registry(folder, MODEL)
    with pytest.raises(RegistryError, match="nothing is on hold"):
        registry.release(actor="ann", reason="mended")
    registry.rollback(version_name(1), actor="ann", reason="complaints")
    for wrong in ("x" * 201, "two\nlines", "bell\a"):
        with pytest.raises(RegistryError, match="one line of at most 200 characters"):
            registry.release(actor="ann", reason=wrong)
    release = registry.release(actor="ann", reason="mended")
    assert registry.release(actor="ann", reason="mended") == release
    with pytest.raises(RegistryError, match="nothing is on hold"):
        registry.release(actor="bob", reason="mended")


# The way out when the champion cannot be scored.


@pytest.fixture
def real_model() -> bytes:
    """A small model as skops saves it."""
    import skops.io
    from sklearn.dummy import DummyClassifier

    return skops.io.dumps(DummyClassifier(strategy="prior").fit([[0], [1]], [0, 1]))


def test_promote_unjudged(store: Store, real_model: bytes) -> None:
    """A person may let a version serve that verifies and loads; history begins anew there."""
    promote_days(store, 1, 2)
    plant_version(store, 3, model_bytes=real_model)
    registry = Registry(store, MODEL)
    entry = registry.promote_unjudged(version_name(3), actor="ann", reason="champion is lost")
    assert (entry.kind, entry.version, entry.value) == (
        PromotionKind.UNJUDGED,
        version_name(3),
        None,
    )
    assert registry.log.best_of_last("accuracy") is None
    promote_days(store, 4)
    assert registry.log.best_of_last("accuracy").version == version_name(4)  # type: ignore[union-attr]
    check_invariants(store, MODEL)


def test_an_unjudged_promotion_is_for_the_generation_that_was_seen(
    folder: Store, real_model: bytes
) -> None:
    """What was judged against another generation does not come behind the one that serves now."""
    promote_days(folder, 1, 2)
    plant_version(folder, 3, model_bytes=real_model)
    registry = Registry(folder, MODEL)
    with pytest.raises(Superseded, match="look again"):
        registry.promote_unjudged(version_name(3), actor="ann", reason="x", seen=1)
    assert registry.log.head() == 2


def test_who_may_not_read_the_records_still_verifies_the_log(folder: Store) -> None:
    """The pages' role sees the log and the versions; it is said that records were not read."""

    class Refused(Store):
        def children(self, prefix: str, *more: Any, **named: Any) -> Any:
            if "/decisions" in prefix:
                raise StoreRefused("denied")
            return super().children(prefix, *more, **named)

    promote_days(folder, 1)
    found = verify(Refused(folder.uri, folder.options), MODEL)
    assert (found.records, found.problems, found.entries) == (None, (), 1)


def test_unjudged_promotions_that_are_refused(folder: Store, real_model: bytes) -> None:
    """It needs a reason, something that serves, another version, and one that loads."""
    registry = Registry(folder, MODEL)
    with pytest.raises(RegistryError, match="nothing serves"):
        registry.promote_unjudged(version_name(1), actor="ann", reason="x")
    promote_days(folder, 1)
    with pytest.raises(RegistryError, match="reason"):
        registry.promote_unjudged(version_name(1), actor="ann", reason="")
    with pytest.raises(RegistryError, match="serves already"):
        registry.promote_unjudged(version_name(1), actor="ann", reason="x")
    with pytest.raises(NotFound):
        registry.promote_unjudged(version_name(3), actor="ann", reason="x")
    with pytest.raises(NotFound, match="not the name of a version"):
        registry.promote_unjudged("../../x", actor="ann", reason="x")
    plant_version(folder, 2)
    with pytest.raises(ArtifactError, match="not a readable skops file"):
        registry.promote_unjudged(version_name(2), actor="ann", reason="x")
    assert len(registry.log.history()) == 1
