from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from include.retraining.data.key_sketch import sketch_keys
from include.retraining.evaluation.comparison import paired_score_interval
from include.retraining.evaluation.looks import take_look
from include.retraining.exceptions import EvidenceError
from include.retraining.gate.tries import TOTAL, level_words, ordinal, tail_of
from include.retraining.store.layout import look_key
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store

KEYS = range(1_000)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store in a folder."""
    return initialise(f"file://{tmp_path}")


def look(store: Store, version: str, *, generation: int = 1, keys: range = KEYS) -> int:
    """Take a look with a version and return which try it is."""
    return take_look(
        store,
        "toy",
        version=version,
        holdout_digest=str(keys),
        keys=sketch_keys(pd.Series(keys)),
        generation=generation,
        run_id="run",
    ).number


@pytest.mark.fault("F10")
def test_each_version_on_the_same_rows_is_one_more_try(store: Store) -> None:
    """A new challenger is the next try, and one that was scored before keeps its number."""
    assert [look(store, version) for version in "abcab"] == [1, 2, 3, 1, 2]
    assert len(store.objects("models/toy/looks")) == 3


def test_a_new_champion_begins_a_new_count(store: Store) -> None:
    """Against another generation the tries are counted anew, for a version of before too."""
    assert [look(store, version) for version in "ab"] == [1, 2]
    assert [look(store, version, generation=2) for version in "bc"] == [1, 2]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [(range(100, 1_100), 2), (range(30_000), 1), (range(1_000, 2_000), 1), (range(500), 2)],
)
def test_other_rows_are_no_further_try(store: Store, keys: range, expected: int) -> None:
    """Rows that were hardly looked at before are new, rows of which many were are not."""
    look(store, "a")
    assert look(store, "b", keys=keys) == expected


def test_two_at_once_get_two_numbers(store: Store) -> None:
    """Whoever is second at a number takes the next one."""
    found: list[int] = []
    tasks = [
        threading.Thread(target=lambda name=name: found.append(look(store, name)))  # type: ignore[misc]
        for name in "abcd"
    ]
    for task in tasks:
        task.start()
    for task in tasks:
        task.join()
    assert sorted(found) == [1, 2, 3, 4]


def test_a_look_that_cannot_be_read_stops_the_evaluation(store: Store) -> None:
    """A damaged look is an error, never one try less."""
    look(store, "a")
    store.write(look_key("toy", 1), b"{}")
    with pytest.raises(EvidenceError, match="looks/00000001"):
        look(store, "b")


def test_all_tries_together_spend_one_level() -> None:
    """However many there are, the chances add up to less than the whole; the first is usual."""
    assert tail_of(1) == pytest.approx(0.025)
    assert sum(tail_of(number) for number in range(1, 10_000)) < TOTAL


def test_levels_and_numbers_in_words() -> None:
    """A level never reads as 100 %."""
    assert [level_words(1 - 2 * tail_of(number)) for number in (1, 2, 20, 365)] == [
        "95 %",
        "98.33 %",
        "99.98 %",
        "99.9999 %",
    ]
    assert level_words(1.0) == "almost 100 %"
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112, 1003)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th", "1,003rd",
    ]  # fmt: skip


@pytest.mark.fault("F10")
@pytest.mark.parametrize(("truth", "within", "least", "most"), [(0.88, 52, 0, 0.05)])
def test_a_year_of_worse_challengers_is_not_let_through(
    truth: float, within: int, least: float, most: float
) -> None:
    """Of families worse by the whole margin at most 5 % get one promoted in 52 tries."""
    random, rows, margin, families = np.random.default_rng(1), 600, 0.02, 60
    promoted = 0
    for _ in range(families):
        champion = random.random(rows) < 0.90
        for number in range(1, within + 1):
            own = random.random(rows) < 0.2
            ours = np.where(own, random.random(rows) < truth - 0.08, champion)
            better, worse = int((ours & ~champion).sum()), int((champion & ~ours).sum())
            is_near = better - worse > -margin * rows
            if (
                is_near
                and paired_score_interval(better, worse, rows, tail=tail_of(number))[0] > -margin
            ):
                promoted += 1
                break
    assert least <= promoted / families <= most
