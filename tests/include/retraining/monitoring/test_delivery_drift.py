"""Each delivery is compared with the rows that the champion was trained on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from include.retraining.data.split import holdout_mask
from include.retraining.exceptions import NotFound
from include.retraining.monitoring.delivery_drift import observe_delivery
from include.retraining.monitoring.drift import is_observed, read_drifts
from include.retraining.monitoring.profile import read_profile
from include.retraining.store.layout import profile_key
from tests.support.toy_models import Toy, make_frame

MakeToy = Callable[..., Toy]


def promoted(toy: Toy) -> str:
    """Train the toy on its delivery, profile and promote the version, and return its name."""
    job, report = toy.run()
    assert observe_delivery(job) is None
    toy.promote(job, report)
    return job.manifest.version


def test_a_run_with_its_profile_and_its_comparison_has_nothing_to_observe(
    make_toy: MakeToy,
) -> None:
    """Without a champion the profile is all, and with one the comparison as well."""
    toy = make_toy()
    toy.deliver(make_frame("binary"))
    first = toy.plan()
    assert not is_observed(toy.store, first.manifest)
    observe_delivery(first)
    assert is_observed(toy.store, first.manifest)
    promoted(toy)
    frame = make_frame("binary", 600, seed=1)
    toy.deliver(frame.assign(id=frame["id"] + 100_000))
    later = toy.plan()
    assert not is_observed(toy.store, later.manifest)
    observe_delivery(later)
    assert is_observed(toy.store, later.manifest)


def test_the_first_delivery_is_profiled_by_its_training_rows(make_toy: MakeToy) -> None:
    """The profile counts the rows that a fit sees, of the columns that the model reads."""
    toy = make_toy()
    version = promoted(toy)
    profile = read_profile(toy.store, toy.name, version)
    frame = make_frame("binary")
    assert profile.rows == int((~holdout_mask(frame, toy.config)).sum())
    assert list(profile.columns) == ["a", "b"]
    assert read_drifts(toy.store, toy.name, "delivery") == []


@pytest.mark.fault("S12")
def test_a_delivery_that_moved_exceeds_its_limits(make_toy: MakeToy) -> None:
    """The column that moved comes first, with its bins to be drawn; the other is as usual."""
    toy = make_toy()
    version = promoted(toy)
    frame = make_frame("binary", 600, seed=1)
    toy.deliver(frame.assign(id=frame["id"] + 100_000, a=frame["a"] + 2 * frame["a"].std()))
    drift = observe_delivery(toy.plan())
    assert drift is not None
    assert (drift.version, drift.generation, drift.rows) == (version, 1, 600)
    assert drift.exceeding == ("a",)
    assert sum(part.now for part in drift.moved_most[0].bins) == pytest.approx(1.0)
    assert read_drifts(toy.store, toy.name, "delivery") == [drift]


@pytest.mark.fault("S13")
def test_a_version_of_before_profiles_cannot_be_compared(make_toy: MakeToy) -> None:
    """Without a profile there is a reason and no error, and the new version gets its own."""
    toy = make_toy()
    version = promoted(toy)
    toy.store.delete(profile_key(toy.name, version))
    frame = make_frame("binary", 600, seed=1)
    toy.deliver(frame.assign(id=frame["id"] + 100_000))
    job = toy.plan()
    drift = observe_delivery(job)
    assert drift is not None
    assert drift.cannot_judge is not None
    assert "has no profile" in drift.cannot_judge
    assert (drift.columns, drift.rows) == ((), 0)
    assert read_profile(toy.store, toy.name, job.manifest.version).rows > 0
    with pytest.raises(NotFound, match="trained before there"):
        read_profile(toy.store, toy.name, version)
