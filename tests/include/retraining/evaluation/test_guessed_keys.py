"""Champions of before, whose keys were guessed as numbers from CSV."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.retraining.data.split_record import SplitUsed
from include.retraining.documents import sha256_of
from include.retraining.evaluation.guessed_keys import guessed_otherwise
from include.retraining.gate.rules import judge
from include.retraining.gate.verdict import Answer
from include.retraining.runs.results import write_result
from include.retraining.steps.train import train
from include.retraining.store.layout import version_manifest_key
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]


def serve_of_before(toy: Toy) -> None:
    """Let a version serve whose manifest is as it was written before keys were noted."""
    toy.deliver(make_frame("binary"), as_csv=True)  # "00001000" counted as this 1000
    job = toy.plan()
    trained = train(job)
    key = version_manifest_key(toy.name, job.manifest.version)
    document = json.loads(toy.store.read(key))
    del document["rows_used"], document["split"]["key"], document["split"]["key_read"]
    data = json.dumps(document).encode()
    toy.store.write(key, data)
    changed = trained.manifest.model_copy(update={"size": len(data), "sha256": sha256_of(data)})
    write_result(
        job.store, job.paths, job.manifest, trained.model_copy(update={"manifest": changed})
    )
    toy.evaluate(job)
    toy.promote(job, toy.report(job))


@pytest.mark.parametrize("written", ["{:08d}", "{}", "A{:08d}"])
def test_a_champion_of_before_is_compared_unless_its_keys_were_guessed(
    make_toy: MakeToy, written: str
):
    """Of padded ids nobody can judge, and a person may pass it over; any others are compared."""
    toy = make_toy("binary")
    serve_of_before(toy)
    toy.write_model(model_file("binary").replace("id: int", "id: str"))
    frame = make_frame("binary")
    toy.deliver(frame.assign(id=frame["id"].map(written.format)), as_csv=True)
    _, report = toy.run()
    assert report.champion is not None
    verdict = judge(report, toy.config.gates, report_digest="d")
    if written != "{:08d}":
        assert report.champion.error is None
        assert report.champion.scores is not None
        assert verdict.answer is not Answer.CANNOT_JUDGE
        return
    assert report.champion.scores is None
    rows = report.holdout.rows
    says = f"{rows} of the {rows} keys here were read as other keys then"
    assert says in str(report.champion.error)
    assert verdict.answer is Answer.CANNOT_JUDGE
    refusals = [gate for gate in verdict.gates if gate.answer is Answer.CANNOT_JUDGE]
    assert [gate.gate for gate in refusals] == ["against champion"], "a person may pass it over"
    assert "--unjudged-champion" in refusals[0].reason


def told(
    keys: list[Any], *, file: str = "data.csv", key_read: str | None = None, now: str = "text"
) -> str:
    """What is said of a version that was trained from a file, empty where nothing is."""
    manifest: Any = SimpleNamespace(
        split=SplitUsed(by="key", salt="s", holdout_fraction=0.3, key_read=key_read),
        data=(SimpleNamespace(name=file),),
    )
    holdout: Any = SimpleNamespace(
        keys=pd.Series(keys).to_numpy(),
        rows=len(keys),
        split=SplitUsed(by="key", salt="s", holdout_fraction=0.3, key="id", key_read=now),
    )
    return guessed_otherwise(manifest, holdout) or ""


DIGITS = [f"{number:07d}" for number in range(100)]
HEX = [f"{number * 2654435761 % 2**32:08x}" for number in range(500)]


@pytest.mark.parametrize(
    "keys",
    [
        [*range(12)],
        [*map(str, range(12))],
        [1.0, 2.5],
        ["-3", "4"],
        ["1" * 25, "2" * 25],
        HEX,
        [f"{number}-{number}" for number in range(10)],
        ["A0012", "B0012"],
        ["0012", "A1", "A2"],
    ],
    ids=["integers", "digits", "floats", "signs", "long", "hex", "words", "letters", "few"],
)
def test_keys_that_mean_the_same_both_ways_are_compared(keys: list[Any]):
    """Plain numbers, plain text, and text of which a few look like numbers by chance."""
    assert told(keys) == ""


@pytest.mark.parametrize(
    ("keys", "others"),
    [
        (DIGITS, 100),
        ([*DIGITS, "A000001"], 100),
        (["+12", "13"], 1),
        (["12.0", "13"], 1),
        (["1E5", "13"], 1),
        ([" 12", "13"], 1),
    ],
    ids=["zeros", "and a letter", "plus", "point", "exponent", "blank"],
)
def test_keys_that_were_other_keys_are_told(keys: list[str], others: int):
    """However a number may be written; from Parquet, or once it is noted, there is no doubt."""
    assert f"{others} of the {len(keys)} keys here were read as other keys then" in told(keys)
    assert told(keys, file="data.parquet") == ""
    assert told(keys, key_read="text") == ""


def test_times_were_the_text_of_their_file():
    """A key that is a time now was text in a CSV of before, which nobody can write again."""
    days = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[ns]").tolist()
    assert "2 of the 2 keys" in told(days, now="time")
