"""Trained once: who holds the right to train a version, whatever run or backend wants it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from include.retraining.exceptions import TrainingElsewhere
from include.retraining.steps import train as train_step
from include.retraining.steps.train import train
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from include.retraining.training import fitting as training
from include.retraining.training.training_claim import Beat, TrainingClaims
from tests.support.toy_models import Toy

ONE = {"run_id": "one", "plan": "plan-one", "attempt": "0-1"}
TWO = {"run_id": "two", "plan": "plan-two", "attempt": "0-1"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return initialise(f"file://{tmp_path}/store")


def claims(store: Store) -> TrainingClaims:
    """The claims of one version, with a quick beat."""
    return TrainingClaims(store, "apples", "a" * 16, beat_seconds=0.02, silence_seconds=0.2)


def test_nobody_trains_while_another_run_does(store: Store) -> None:
    """A claim that beats sends every other run away, and says whose it is."""
    with claims(store).hold(**ONE):
        with (
            pytest.raises(TrainingElsewhere, match="run one trains this very version"),
            claims(store).hold(**TWO),
        ):
            pytest.fail("two at once")
        held = claims(store).current()
    assert held is not None
    assert held.claim.run_id == "one"
    assert claims(store).current() is None
    with claims(store).hold(**TWO) as claim:
        assert claim.number == 2


def test_a_training_that_fell_silent_is_over(store: Store) -> None:
    """A killed training leaves a claim without a beat: the next run takes over and numbers on."""
    held = claims(store).hold(**ONE)
    claim = held.__enter__()
    key = f"models/apples/versions/{'a' * 16}/claim-001.beat.json"
    dead = TrainingClaims(store, "apples", "a" * 16, beat_seconds=0.02, silence_seconds=0.2)
    try:
        # Its beat is taken away for as long as the other listens.
        store.write = _but_for(store.write, key)  # type: ignore[method-assign]
        with dead.hold(**TWO) as second:
            assert (claim.number, second.number) == (1, 2)
    finally:
        held.__exit__(None, None, None)


def _but_for(write: Callable[[str, bytes], None], key: str) -> Callable[[str, bytes], None]:
    def filtered(place: str, data: bytes) -> None:
        if place != key:
            write(place, data)

    return filtered


def test_an_earlier_attempt_of_the_same_plan_is_over(store: Store) -> None:
    """A plan has one job at a time: its next attempt waits for nobody."""
    slow = TrainingClaims(store, "apples", "a" * 16, beat_seconds=0.02, silence_seconds=60)
    with slow.hold(**ONE), slow.hold(**(ONE | {"attempt": "0-2"})) as second:
        assert second.number == 2


def test_a_beat_is_seen_whatever_the_clocks_say(store: Store) -> None:
    """A beat is a count: it grows while the training goes on."""
    with claims(store).hold(**ONE):
        first = claims(store).current()
        while (now := claims(store).current()) == first:
            pass
    assert first is not None
    assert now is not None
    assert now.beat > first.beat


def test_a_failed_training_gives_its_claim_back(store: Store) -> None:
    """Who cannot train lets the next run try at once."""
    with pytest.raises(ValueError, match="no"), claims(store).hold(**ONE):
        raise ValueError("no")
    assert claims(store).current() is None


def test_two_runs_of_one_fingerprint_train_once(
    make_toy: Callable[..., Toy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten runs of a backfill pin the same files: one fits, the others go on with its version."""
    toy = make_toy()
    first, second = toy.plan(), toy.plan()
    assert first.manifest.version == second.manifest.version
    fits, begun, may_end = [], threading.Event(), threading.Event()
    fit = training.fit

    def waiting(*arguments: object) -> object:
        fits.append(1)
        begun.set()
        assert may_end.wait(60)
        return fit(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(train_step, "fit", waiting)
    trained = threading.Thread(target=toy.train, args=(first,))
    trained.start()
    assert begun.wait(60)
    held = TrainingClaims(toy.store, toy.name, first.manifest.version).current()
    assert held is not None
    # The next beat comes in ten seconds: let the other hear one now.
    timer = threading.Timer(0.5, _beat_once, args=(toy, held.claim.number))
    timer.start()
    with pytest.raises(TrainingElsewhere):
        train(second)
    may_end.set()
    trained.join()
    assert toy.train(second).adopted
    assert len(fits) == 1


def _beat_once(toy: Toy, number: int) -> None:
    version = toy.store.children(f"models/{toy.name}/versions")[0][0]
    key = f"models/{toy.name}/versions/{version}/claim-{number:03d}.beat.json"
    toy.store.write(key, Beat(count=99).to_bytes())
