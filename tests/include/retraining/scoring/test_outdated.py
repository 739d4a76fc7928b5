"""Runs that are late: what they made never counts over what was delivered or promoted since."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.scoring.job import ScoreJob
from include.retraining.scoring.score import score
from include.retraining.scoring.scores import MAX_EARLIER, Scores, ScoresFolder, input_digest
from include.retraining.store.object_store import Store
from tests.support.scored_toys import ScoringToy, day, make_scoring_toy, rows_to_score
from tests.support.toy_models import Toy

MakeToy = Callable[..., Toy]


def planned(toy: ScoringToy) -> ScoreJob:
    """Plan a run that has something to do."""
    job = toy.plan()
    assert job is not None
    return job


def once_a_manifest_is_put(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[], None], *, is_before: bool
) -> None:
    """Do something just before or just after the next manifest of some scores is put."""
    create, pending = Store.create, [act]

    def creating(store: Store, key: str, data: bytes) -> Any:
        is_manifest = key.startswith("scores/") and bool(pending)
        if is_manifest and is_before:
            pending.pop()()
        created = create(store, key, data)
        if is_manifest and not is_before:
            pending.pop()()
        return created

    monkeypatch.setattr(Store, "create", creating)


@pytest.mark.fault("S08")
def test_a_retry_of_an_old_plan_does_not_bring_outdated_scores_back(make_toy: MakeToy):
    """A job that is done again after its input was replaced names nothing, and says so."""
    toy = make_scoring_toy(make_toy)
    version = toy.promote(1)
    toy.land(0, rows_to_score())
    old = planned(toy)
    score(old)  # killed before it left its result
    toy.land(0, rows_to_score(2, rows=30))
    toy.run()
    again = toy.finish(old)
    assert (again.partitions, again.outdated) == ((), (str(day(0)),))
    assert len(toy.table(0)) == 30
    assert toy.folder(0).numbers() == [1, 2]
    assert toy.versions(0) == [version]


@pytest.mark.fault("S08")
def test_an_input_that_is_replaced_while_it_is_scored_is_not_named(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """Of two parallel runs the one of the newest delivery has its scores counted, though first."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    old = planned(toy)

    def deliver_again() -> None:
        toy.land(0, rows_to_score(2, rows=30))
        toy.run()

    once_a_manifest_is_put(monkeypatch, deliver_again, is_before=True)
    assert score(old).outdated == (str(day(0)),)
    assert len(toy.table(0)) == 30


@pytest.mark.fault("S06")
@pytest.mark.parametrize("is_before", [True, False])
def test_a_rollback_at_the_moment_when_scores_are_named_is_followed(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch, *, is_before: bool
):
    """The rollback's own run finds nothing due yet, so the late job redoes its partition."""
    toy = make_scoring_toy(make_toy)
    first = toy.promote(1)
    toy.land(0, rows_to_score())
    toy.run()
    second = toy.promote(2)
    job = planned(toy)

    def roll_back() -> None:
        toy.roll_back(first)
        if is_before:
            assert toy.plan() is None

    once_a_manifest_is_put(monkeypatch, roll_back, is_before=is_before)
    result = toy.finish(job)
    assert [one.version for one in result.partitions] == [first]
    assert toy.versions(0) == [first]
    assert toy.folder(0).read(2).version == second


def test_a_flag_that_is_raised_again_is_remembered(make_toy: MakeToy):
    """The same files under a new flag are named anew, not scored, and are not read at each plan."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())
    toy.run()
    files = [info.key for info in toy.store.objects(f"scores/{day(0)}/data")]
    toy.land(0, rows_to_score())
    result = toy.run()
    assert result is not None
    assert result.partitions[0].was_there
    assert [info.key for info in toy.store.objects(f"scores/{day(0)}/data")] == files
    assert toy.run() is None
    assert toy.folder(0).numbers() == [1, 2]


def test_what_is_read_for_earlier_scores_does_not_grow_with_age(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """A partition with many manifests has the newest ones read back, not all of them."""
    toy = make_scoring_toy(make_toy)
    version = toy.promote(1)
    toy.land(0, rows_to_score())
    toy.run()
    folder = toy.folder(0)
    oldest = folder.read(1)
    for number in range(2, MAX_EARLIER + 5):
        other = oldest.model_copy(update={"number": number, "version": "0" * 16})
        assert folder.store.create(folder.manifest_key(number), other.to_bytes())
    numbers: list[int] = []
    read = ScoresFolder.read

    def reading(there: ScoresFolder, number: int) -> Scores:
        numbers.append(number)
        return read(there, number)

    monkeypatch.setattr(ScoresFolder, "read", reading)
    assert folder.earlier(version, input_digest(oldest.input)) is None
    assert len(numbers) == MAX_EARLIER


def test_the_promotion_log_is_read_back_only_to_redo_days(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """A model that scores nothing again after a rollback has its newest entry read alone."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    toy.land(0, rows_to_score())

    def refuse(_: PromotionLog) -> Any:
        raise AssertionError("the whole log was read")

    monkeypatch.setattr(PromotionLog, "newest_first", refuse)
    assert toy.run() is not None
    with pytest.raises(AssertionError, match="whole log"):
        toy.run(rescore_days=2)
