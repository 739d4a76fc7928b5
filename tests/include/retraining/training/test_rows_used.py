"""Whether a champion has seen the rows that it is scored on."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.retraining.gate.rules import judge
from include.retraining.gate.verdict import Answer
from include.retraining.registry.versions import read_version
from include.retraining.training.rows_used import content_hashes, has_seen, rows_used
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]
FEATURES = ["a", "b"]


def sides(frame: pd.DataFrame, share: float = 0.3, seed: int = 0) -> np.ndarray:
    """A holdout that has nothing to do with the keys."""
    return np.random.default_rng(seed).random(len(frame)) < share


def found(then: pd.DataFrame, was: np.ndarray, now: pd.DataFrame, is_now: np.ndarray) -> str:
    """What is said of a version of `then` on the holdout of `now`; empty where nothing is."""
    used = rows_used(then["id"], content_hashes(then[FEATURES], then["y"].to_numpy()), was)
    rows = now[is_now]
    return has_seen(used, rows["id"], rows[FEATURES], rows["y"].to_numpy()) or ""


def test_new_rows_and_rows_that_stay_are_fine():
    """Neither data that are new each month nor a population that stays is ever refused."""
    frame = make_frame("binary", 3_000)
    mask = sides(frame)
    assert found(frame, mask, frame, mask) == ""
    later = make_frame("binary", 3_000, seed=1)
    assert found(frame, mask, later.assign(id=later["id"] + 10_000), mask) == ""
    changed = frame.assign(y=later["y"], a=later["a"])
    assert found(frame, mask, changed, mask) == ""


@pytest.mark.parametrize("rows", [300, 5_000])
def test_keys_that_were_written_anew_are_told(rows: int):
    """The same rows under other keys on other sides: it says how many of them it was trained on."""
    frame = make_frame("binary", rows)
    anew = frame.assign(id=frame["id"].map("{:08d}".format))
    told = found(frame, sides(frame), anew, sides(frame, seed=1))
    assert "of this holdout's rows, under other keys" in told
    share = float(told.split("about ")[1].split("%")[0])
    assert share == pytest.approx(70, abs=15)


def test_sides_that_were_swapped_are_told():
    """A key of the holdout that was trained on is told, whatever became of its row."""
    frame, later = make_frame("binary", 5_000), make_frame("binary", 5_000, seed=1)
    assert "keys of this holdout" in found(frame, sides(frame), later, sides(frame, seed=1))


def test_few_different_rows_are_alike_by_chance():
    """Where rows are alike by chance, rows that are alike say nothing."""
    frame = make_frame("binary", 2_000)
    frame["a"], frame["b"] = (frame["a"] > 0).astype(float), (frame["b"] > 0).astype(float)
    mask = sides(frame)
    later = make_frame("binary", 2_000, seed=1).assign(a=frame["a"], b=frame["b"])
    assert found(frame, mask, later.assign(id=later["id"] + 10_000), mask) == ""


def test_rows_are_the_same_from_csv_and_parquet():
    """A row's hash is of its values, not of the type that they were read as."""
    frame = pd.DataFrame({"n": [1, 2], "w": ["x", "y"], "t": [True, False], "f": [0.5, np.nan]})
    labels = np.array([0, 1])
    other = frame.astype({"n": "float64", "w": "category", "t": "int8", "f": "Float64"})
    one, two = (content_hashes(rows, labels) for rows in (frame, other))
    assert one.tolist() == two.tolist()
    assert len(set(one)) == 2


def test_a_champion_whose_keys_were_rewritten_cannot_be_judged(make_toy: MakeToy):
    """1000 becomes 00001000: nothing is compared; a version of before, without sketch, still is."""
    toy = make_toy("binary")
    job, report = toy.run()
    toy.promote(job, report)
    frame = make_frame("binary")
    toy.write_model(model_file("binary").replace("id: int", "id: str"))
    toy.deliver(frame.assign(id=frame["id"].map("{:08d}".format)))
    _, report = toy.run()
    assert report.champion is not None
    assert "under other keys" in str(report.champion.error)
    verdict = judge(report, toy.config.gates, report_digest="d")
    assert verdict.answer is Answer.CANNOT_JUDGE
    manifest = read_version(toy.store, toy.name, job.manifest.version)
    assert len(manifest.to_bytes()) < 15_000
    assert manifest.model_validate(manifest.model_dump(exclude={"rows_used"})).rows_used is None


def test_a_version_of_before_is_compared_as_before(make_toy: MakeToy):
    """Without sketches, and under another rule of the split, rows that were seen are no matter."""
    from include.retraining.evaluation.contenders import _unfit

    toy = make_toy("binary")
    job, _ = toy.run()
    manifest = read_version(toy.store, toy.name, job.manifest.version)
    frame = make_frame("binary")
    holdout: Any = SimpleNamespace(
        frame=frame,
        keys=frame["id"].to_numpy(),
        labels=frame["y"].to_numpy(),
        train_labels=frame["y"].to_numpy(),
        split=manifest.split,
        oldest=None,
        rows=len(frame),
    )
    assert "keys of this holdout" in str(_unfit(manifest, holdout, "binary"))
    without = manifest.model_copy(update={"rows_used": None})
    assert _unfit(without, holdout, "binary") is None
    holdout.split = manifest.split.model_copy(update={"salt": "another"})
    assert _unfit(manifest, holdout, "binary") is None
