"""A broken delivery is not a better model, and an equal model is not refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.retraining.gate.rules import Answer, judge
from include.retraining.gate.verdict import Verdict
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]
DATA_GATE = "against the champion's own score"


def shuffled(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """The same rows, with the labels in any order."""
    labels = np.random.default_rng(seed).permutation(frame["y"].to_numpy())
    return frame.assign(y=labels)


def judged(toy: Toy, frame: pd.DataFrame, *, promote: bool = False) -> Verdict:
    """The verdict on a run over a delivery."""
    toy.deliver(frame)
    job, report = toy.run()
    if promote:
        toy.promote(job, report)
    return judge(report, toy.config.gates, report_digest=report.content_digest)


def answers(verdict: Verdict) -> dict[str, Any]:
    """Each gate's answer."""
    return {gate.gate: gate.answer for gate in verdict.gates}


@pytest.mark.parametrize(
    ("problem", "metric"),
    [
        ("regression", "neg_mean_absolute_error"),
        ("binary", "accuracy"),
        ("multiclass", "neg_log_loss"),
    ],
)
def test_shuffled_labels_are_data_that_changed(
    make_toy: MakeToy, problem: str, metric: str
) -> None:
    """A champion that fails on shuffled labels is no reason to promote who learned from them."""
    toy = make_toy(problem, gates={"metric": metric})
    assert judged(toy, make_frame(problem), promote=True).passed
    verdict = judged(toy, shuffled(make_frame(problem)))
    assert verdict.answer is Answer.CANNOT_JUDGE
    assert answers(verdict)[DATA_GATE] is Answer.CANNOT_JUDGE
    assert f"{DATA_GATE}: the data changed, not the model" in verdict.headline


def test_turned_labels_are_data_that_changed(make_toy: MakeToy) -> None:
    """A challenger that learned yes for no beats the champion there, and is not promoted."""
    toy = make_toy()
    frame = make_frame("binary")
    assert judged(toy, frame, promote=True).passed
    verdict = judged(toy, frame.assign(y=1 - frame["y"]))
    found = answers(verdict)
    assert found["against champion"] is Answer.PASS
    assert (verdict.answer, found[DATA_GATE]) == (Answer.CANNOT_JUDGE, Answer.CANNOT_JUDGE)


def test_other_rows_of_the_same_world_are_no_change(make_toy: MakeToy) -> None:
    """New rows, an equal version, a default margin: it is promoted."""
    toy = make_toy()
    judged(toy, make_frame("binary"), promote=True)
    verdict = judged(toy, make_frame("binary", seed=1))
    assert answers(verdict)[DATA_GATE] is Answer.PASS
    assert verdict.passed, verdict.headline


def test_a_model_that_learned_nothing_does_not_beat_the_baseline(make_toy: MakeToy) -> None:
    """On labels that follow no feature the first version of a model is refused."""
    toy = make_toy("regression", gates={"metric": "r2"})
    verdict = judged(toy, shuffled(make_frame("regression")))
    assert answers(verdict)["better than baseline"] is Answer.FAIL


def test_the_margin_that_was_set_is_a_number_for_good(make_toy: MakeToy) -> None:
    """Asked to be better, a version that only is as good is refused, and told what would do."""
    toy = make_toy(gates={"champion": {"margin": 0.0}})
    frame = make_frame("binary")
    judged(toy, frame, promote=True)
    toy.write_model(model_file("binary", "LogisticRegression(C=0.9)"))
    verdict = judged(toy, frame)
    assert verdict.answer is Answer.FAIL
    assert "the margin is 0, which asks to be better" in verdict.headline
