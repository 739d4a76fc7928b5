"""Which versions, runs and scores have a key: found by its hash, and what cannot be known said."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from include.retraining.data.split import holdout_mask
from include.retraining.privacy.who_saw import WhoSaw, who_saw
from tests.support.scored_toys import make_scoring_toy, rows_to_score
from tests.support.toy_models import Toy, make_frame

MakeToy = Callable[..., Toy]


@pytest.fixture
def keys(make_toy: MakeToy) -> tuple[Toy, int, int]:
    """A toy that was trained and evaluated, a key of its training part and one of its holdout."""
    toy = make_toy()
    frame = make_frame("binary", 2000)
    toy.deliver(frame)
    toy.run()
    mask = holdout_mask(frame, toy.config)
    return toy, int(frame["id"][~mask].iloc[-1]), int(frame["id"][mask].iloc[-1])


def seen(answer: WhoSaw) -> list[tuple[str, str]]:
    """Return what has the key, by its first words, and how sure that is."""
    return [(" ".join(one.what.split()[:2]), one.answer) for one in answer.sightings]


def test_a_key_of_the_training_part(keys: tuple[Toy, int, int]) -> None:
    """Beyond the reach of the sketch the delivery is read: the version has it, and no run."""
    toy, trained, _ = keys
    answer = who_saw(toy.store, [toy.name], str(trained))
    assert seen(answer) == [("training part", "has it")]
    assert str(trained) not in str(answer.sightings[0].what)


def test_a_key_of_the_holdout(keys: tuple[Toy, int, int]) -> None:
    """The run's predictions have it, and the version was not trained on it."""
    toy, _, held_out = keys
    answers = seen(who_saw(toy.store, [toy.name], str(held_out)))
    assert ("predictions of", "has it") in answers
    assert not [what for what, _ in answers if what == "training part"]


def test_a_key_that_nobody_saw(keys: tuple[Toy, int, int]) -> None:
    """Every place was looked at, and none has it."""
    toy, _, _ = keys
    answer = who_saw(toy.store, [toy.name], "999999")
    assert answer.sightings == []
    assert answer.places >= 3


def test_a_delivery_that_is_gone(make_toy: MakeToy) -> None:
    """Where neither the sketch nor the delivery can say it, nobody is told a no."""
    toy = make_toy()
    frame = make_frame("binary", 2000)
    toy.deliver(frame)
    toy.run()
    toy.deliver(make_frame("binary", 2000, seed=1))
    mask = holdout_mask(frame, toy.config)
    unknown = 0
    for key in frame["id"][~mask].iloc[:8]:
        for sighting in who_saw(toy.store, [toy.name], str(key)).sightings:
            if sighting.answer == "cannot be known":
                unknown += 1
                assert "data changed during the run" in sighting.why
    assert unknown > 0


def test_a_small_set_is_known_without_its_delivery(make_toy: MakeToy) -> None:
    """A sketch of at most 256 keys has all of them."""
    toy = make_toy()
    frame = make_frame("binary", 300)
    toy.deliver(frame)
    toy.run()
    mask = holdout_mask(frame, toy.config)
    toy.deliver(make_frame("binary", 300, seed=1))
    trained = str(frame["id"][~mask].iloc[0])
    assert seen(who_saw(toy.store, [toy.name], trained)) == [("training part", "has it")]


def test_scores_that_were_replaced(make_toy: MakeToy) -> None:
    """Each file of scores that has the key is listed, the replaced one too, and no other."""
    toy = make_scoring_toy(make_toy)
    toy.promote(1)
    rows = rows_to_score()
    toy.land(1, rows)
    toy.run()
    toy.land(1, rows.iloc[1:])
    toy.run()
    first, last = str(rows["id"].iloc[0]), str(rows["id"].iloc[-1])
    store, name, folder = toy.store, toy.toy.name, toy.folder(1)
    old, new = (folder.read(number).files[0].name for number in folder.numbers())
    assert [one.evidence for one in who_saw(store, [name], first).sightings] == [
        f"{folder.uri}/{old}"
    ]
    assert {one.evidence for one in who_saw(store, [name], last).sightings} == {
        f"{folder.uri}/{old}",
        f"{folder.uri}/{new}",
    }
