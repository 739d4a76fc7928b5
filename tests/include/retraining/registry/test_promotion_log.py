"""The promotion log: how it is read, and what is noticed when it is damaged."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from include.retraining.exceptions import NotFound, RegistryError, Superseded
from include.retraining.history.verify import verify
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.steps.decide import check_quality
from include.retraining.store import layout
from include.retraining.store.object_store import Store
from tests.support.gate_checks import against_baseline
from tests.support.promotions import promote, promote_days
from tests.support.run_factory import MODEL, plant_run, version_name


@pytest.mark.parametrize("name", ["", "Toy", "../toy", "toy\n", "a/b"])
def test_a_model_name_is_a_plain_word(folder: Store, name: str) -> None:
    """A name that could lead anywhere else is refused."""
    with pytest.raises(NotFound):
        Registry(folder, name)


def test_best_of_last(folder: Store) -> None:
    """The best is the highest score of the last champions, by the same metric."""
    for day, score in ((1, 0.99), (2, 0.90), (3, 0.86), (4, 0.88)):
        rivals = (
            {"champion": None}
            if day == 1
            else {
                "champion.comparison.difference": score - 0.84,
                "champion.comparison.upper": 1.0,
            }
        )
        run = plant_run(folder, day, report={**against_baseline(score), **rivals})
        promote(folder, run)
    registry = Registry(folder, MODEL)
    found = {n: registry.log.best_of_last("accuracy", n) for n in (1, 2, 3, 4, 10)}
    days = {n: entry and entry.generation for n, entry in found.items()}
    assert days == {1: 4, 2: 4, 3: 2, 4: 1, 10: 1}
    assert registry.log.best_of_last("roc_auc") is None
    registry.rollback(version_name(3), actor="ann", reason="4 is worse than it looks")
    assert registry.log.best_of_last("accuracy", 2).generation == 2  # type: ignore[union-attr]


# A log that is damaged.


class LyingStore(Store):
    """A store that does not keep what it was given."""

    def read(self, key: str) -> bytes:
        """Return something else for every entry of the log."""
        return b"{}" if "/promotions/" in key else super().read(key)


def test_an_entry_that_was_not_kept(folder: Store) -> None:
    """A promotion counts once it was read back as it was written."""
    run = plant_run(folder, 1)
    verdict = check_quality(folder, run)
    with pytest.raises(RegistryError, match="cannot be read back"):
        promote(LyingStore(folder.uri), run, verdict=verdict)


def test_an_entry_that_is_gone(folder: Store) -> None:
    """An entry that must be there and is not is an error, not an earlier entry."""
    promote_days(folder, 1)
    with pytest.raises(RegistryError, match=r"00000002.json is missing"):
        PromotionLog(folder, MODEL).entry(2)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda entry: b"", "not readable"),
        (lambda entry: b"{", "not readable"),
        (lambda entry: entry[: len(entry) // 2], "not readable"),
        (lambda entry: entry + b"{}", "not readable"),
        (lambda entry: entry.replace(b'"format": 1', b'"format": NaN'), "not readable"),
        (lambda entry: entry.replace(b'"format": 1', b'"format": 1, "format": 1'), "not readable"),
        (
            lambda entry: entry.replace(b"toy_model", b"top_model"),
            "is entry 3 of top_model: it was altered",
        ),
        (
            lambda entry: entry.replace(b'"generation": 3', b'"generation": 2'),
            "is entry 2 of toy_model: it was",
        ),
        (lambda entry: entry.replace(b'"previous_sha256": "', b'"previous_sha256": "0'), "altered"),
    ],
)
def test_an_unreadable_newest_entry_is_an_error(
    folder: Store, damage: Callable[[bytes], bytes], text: str
) -> None:
    """Whatever ails the newest entry, the one before it is never used instead."""
    promote_days(folder, 1, 2, 3)
    key = layout.promotion_key(MODEL, 3)
    folder.write(key, damage(folder.read(key)))
    registry = Registry(folder, MODEL)
    for read in (registry.log.champion, registry.log.serving, registry.log.history):
        with pytest.raises(RegistryError, match=text):
            read()
    assert verify(registry.store, registry.model).problems != ()


def test_an_altered_entry_is_noticed(folder: Store) -> None:
    """Any change to an entry breaks the chain at the one after it."""
    promote_days(folder, 1, 2, 3)
    key = layout.promotion_key(MODEL, 1)
    folder.write(key, folder.read(key).replace(b"it is better", b"it was paid"))
    registry = Registry(folder, MODEL)
    with pytest.raises(RegistryError, match=r"00000002\.json: does not follow"):
        registry.log.history()
    assert "00000002.json" in verify(registry.store, registry.model).problems[0]


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_entry_is_an_error(store: Store, missing: int) -> None:
    """A gap in the numbering is an error that names it."""
    promote_days(store, 1, 2, 3)
    store.delete(layout.promotion_key(MODEL, missing))
    with pytest.raises(RegistryError, match=f"{missing:08d}.json: the log's numbering is broken"):
        PromotionLog(store, MODEL).champion()


def test_entries_that_vanished_are_noticed(folder: Store) -> None:
    """A challenger that was judged against a generation that the log no longer has is refused."""
    promote_days(folder, 1, 2)
    run = plant_run(folder, 3)
    folder.delete(layout.promotion_key(MODEL, 2))
    with pytest.raises(RegistryError, match="entries are missing"):
        promote(folder, run)


@pytest.mark.fault("G18")
def test_verify_names_strangers_and_damaged_versions(folder: Store) -> None:
    """A check reports foreign files in the log and each version that is no longer what served."""
    promote_days(folder, 1, 2)
    folder.write(f"models/{MODEL}/promotions/notes.txt", b"hello")
    folder.write(f"{layout.version_folder(MODEL, version_name(1))}/0-1/model.skops", b"model X")
    check = verify(folder, MODEL)
    assert (check.entries, check.versions) == (2, 2)
    assert check.champion is not None
    assert len(check.problems) == 2
    assert version_name(1) in check.problems[0]
    assert "notes.txt is not an entry" in check.problems[1]


@pytest.mark.parametrize("damaged", [1, 2, 3])
def test_verify_goes_on_past_a_damaged_entry(folder: Store, damaged: int) -> None:
    """One unreadable entry is one problem; what the others let serve is checked all the same."""
    promote_days(folder, 1, 2, 3)
    folder.write(layout.promotion_key(MODEL, damaged), b"{")
    for day in (1, 2, 3):
        folder.write(f"{layout.version_folder(MODEL, version_name(day))}/0-1/model.skops", b"X")
    check = verify(folder, MODEL)
    assert (check.entries, check.versions) == (2, 2)
    named = [number for number in (1, 2, 3) if f"version {version_name(number)}:" in str(check)]
    assert named == [number for number in (1, 2, 3) if number != damaged]
    assert f"{damaged:08d}.json: not a readable" in check.problems[0]
    # The newest entry, or the one before it, is what says which version serves.
    assert (check.champion is not None) is (damaged == 1)


def test_verify_goes_on_past_a_missing_entry(folder: Store) -> None:
    """A gap is one problem; the entry behind it is not said to be altered."""
    promote_days(folder, 1, 2, 3)
    folder.delete(layout.promotion_key(MODEL, 2))
    check = verify(folder, MODEL)
    assert (check.entries, check.versions, check.champion) == (2, 2, None)
    assert len(check.problems) == 1
    assert "00000002.json: the log's numbering is broken here" in check.problems[0]


def test_verify_of_a_place_that_is_no_store(folder_store: Store) -> None:
    """An empty place is a problem, not a model that was never promoted."""
    check = verify(folder_store, MODEL)
    assert (check.entries, check.champion) == (0, None)
    assert "is not a store" in check.problems[0]


@pytest.mark.fault("G06")
def test_a_rewritten_old_entry_does_not_let_a_stale_writer_win(folder: Store) -> None:
    """Going from A to B and back to A is two more entries, so who saw A first has lost (G06)."""
    promote_days(folder, 1)
    stale = plant_run(folder, 9)
    promote_days(folder, 2)
    Registry(folder, MODEL).rollback(version_name(1), actor="ann", reason="back")
    with pytest.raises(Superseded):
        promote(folder, stale)
