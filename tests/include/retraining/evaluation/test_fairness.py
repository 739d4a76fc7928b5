from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import demographic_parity_ratio, equalized_odds_difference

from include.retraining.config.model import ProtectedAttribute
from include.retraining.evaluation.fairness import _audit, group_names, value_names
from include.retraining.exceptions import DataRejected
from include.retraining.gate.rules import judge
from include.retraining.gate.verdict import Answer
from include.retraining.training.predictions import Sample
from tests.support.toy_models import Toy, make_frame

MakeToy = Callable[..., Toy]


def biased_sample(rows: int = 600) -> tuple[np.ndarray, Sample]:
    """Three groups that a model favours differently."""
    random = np.random.default_rng(5)
    groups = np.array(["a", "b", "c"], dtype=object)[random.integers(0, 3, rows)]
    rate = pd.Series(groups).map({"a": 0.8, "b": 0.5, "c": 0.3}).to_numpy()
    labels = (random.random(rows) < rate).astype(np.int8)
    values = (random.random(rows) < rate).astype(np.int8)
    return groups, Sample("binary", labels, values, None)


def test_the_ratios_are_fairlearns():
    """Disparate impact and equalised odds are what fairlearn computes."""
    groups, sample = biased_sample()
    found = _audit("colour", groups, sample, 30)
    arguments = {"sensitive_features": groups}
    assert found.disparate_impact == pytest.approx(
        demographic_parity_ratio(sample.labels, sample.values, **arguments)
    )
    assert found.equalized_odds_difference == pytest.approx(
        equalized_odds_difference(sample.labels, sample.values, **arguments)
    )
    assert found.label_disparate_impact == pytest.approx(
        demographic_parity_ratio(sample.labels, sample.labels, **arguments)
    )
    assert found.disparate_impact < 0.6


def test_a_small_group_is_shown_and_left_out_of_the_ratios():
    """A group under the least rows is not judged and moves no ratio; its own rates stay visible."""
    groups, sample = biased_sample()
    before = _audit("colour", groups, sample, 30)
    groups = np.append(groups, ["tiny"] * 29)
    grown = Sample(
        "binary",
        np.append(sample.labels, np.ones(29, np.int8)),
        np.append(sample.values, np.zeros(29, np.int8)),
        None,
    )
    after = _audit("colour", groups, grown, 30)
    assert after.disparate_impact == before.disparate_impact
    assert after.equalized_odds_difference == before.equalized_odds_difference
    assert {g.group: g.is_judged for g in after.groups} == {
        "a": True,
        "b": True,
        "c": True,
        "tiny": False,
    }
    judged_at_29 = _audit("colour", groups, grown, 29)
    assert judged_at_29.disparate_impact == 0
    assert judged_at_29.equalized_odds_difference is None, "tiny has no row labelled 0"


def test_one_group_has_no_ratio():
    """Nothing can be compared with a single judged group."""
    _, sample = biased_sample(50)
    found = _audit("colour", np.array(["a"] * 50, dtype=object), sample, 30)
    assert found.disparate_impact is None
    assert found.equalized_odds_difference is None
    assert found.label_disparate_impact is None
    assert found.groups[0].selection_rate is not None


def test_a_model_that_selects_nobody_has_no_ratio():
    """Zero selected everywhere is no ratio of 1 and no NaN: it cannot be judged."""
    groups, sample = biased_sample()
    nobody = Sample("binary", sample.labels, np.zeros_like(sample.values), None)
    assert _audit("colour", groups, nobody, 30).disparate_impact is None


@pytest.mark.parametrize("values", [[1, 0, 1], [1.0, 0.0, 1.0], [True, False, True]])
def test_labels_match_however_the_column_was_read(values: list[object]):
    """1, 1.0 and True find the label for `1`."""
    attribute = ProtectedAttribute(name="sex", column="male", labels={"0": "female", "1": "male"})
    names = group_names(pd.DataFrame({"male": values}), attribute)
    assert names.tolist() == ["male", "female", "male"]


def test_missing_values_are_a_group_of_their_own():
    """A row without a value is in the group `unknown`."""
    attribute = ProtectedAttribute(name="sex", column="male", labels={"0": "female", "1": "male"})
    names = group_names(pd.DataFrame({"male": [1.0, None, 0.0]}), attribute)
    assert names.tolist() == ["male", "unknown", "female"]
    assert value_names(pd.Series(["x", None])).tolist() == ["x", "unknown"]


def test_one_column_per_group():
    """One-hot columns name the group; none is `other`, several are joined, missing is `unknown`."""
    frame = pd.DataFrame({
        "white": [1, 0, 0, 0, 1, 0],
        "black": [0, 1, 0, 1, None, 0],
        "hispan": [0, 0, 0, 1, 0, 1],
    })
    attribute = ProtectedAttribute(
        name="race", one_hot=("white", "black", "hispan"), labels={"hispan": "hispanic"}
    )
    assert group_names(frame, attribute).tolist() == [
        "white",
        "black",
        "other",
        "black+hispanic",
        "unknown",
        "hispanic",
    ]


ONE_HOT = {"data": {"protected": [{"name": "side", "one_hot": ["left", "right"]}]}}
FOUR_FIFTHS = {"gates": {"fairness": [{"attribute": "side", "min_disparate_impact": 0.8}]}}


def sided(no: Any, yes: Any) -> pd.DataFrame:
    """Rows of which those on the left are selected far more often, coded by these two values."""
    frame = make_frame("binary", 600)
    for name, is_in in (("left", frame["a"] > 0), ("right", frame["a"] <= 0)):
        frame[name] = is_in.map({True: yes, False: no})
    return frame


@pytest.mark.parametrize(
    ("no", "yes"),
    [(0, 1), (False, True), (0.0, 1.0), ("0", "1"), ("False", "True")],
    ids=repr,
)
def test_yes_and_no_are_read_however_they_are_coded(make_toy: MakeToy, no: Any, yes: Any):
    """The same rows get the same groups and the same no, whichever way their type says yes."""
    toy = make_toy("binary", **ONE_HOT, **FOUR_FIFTHS)
    toy.deliver(sided(no, yes))
    _, report = toy.run()
    assert {group.group for group in report.fairness[0].groups} == {"left", "right"}
    verdict = judge(report, toy.config.gates, report_digest="d")
    assert verdict.answer is Answer.FAIL
    assert verdict.headline.startswith("fairness side: the selection rate of the least favoured")


@pytest.mark.parametrize(("no", "yes"), [("N", "Y"), (2, 1), (0, 100)], ids=repr)
def test_what_is_neither_yes_nor_no_is_refused_or_named(make_toy: MakeToy, no: Any, yes: Any):
    """A one-hot column of other values is refused before training, until `labels` says which."""
    toy = make_toy("binary", **ONE_HOT, **FOUR_FIFTHS)
    toy.deliver(sided(no, yes))
    with pytest.raises(DataRejected, match=r"left: is a one_hot column .* \d+ rows( \(and|$)"):
        toy.plan()
    labels = {"left": "l", str(yes): "true", str(no): "false"}
    toy.changes["data"] = {"protected": [{**ONE_HOT["data"]["protected"][0], "labels": labels}]}
    _, report = toy.run()
    assert {group.group for group in report.fairness[0].groups} == {"l", "right"}
    with pytest.raises(DataRejected, match="one_hot"):
        group_names(sided(3, 4), ProtectedAttribute(name="side", one_hot=("left", "right")))


def test_a_rule_about_groups_that_are_all_small_is_no_pass(make_toy: MakeToy):
    """Seventy ages of few rows each cannot be judged, unless the rule says that this may be."""
    age = {"protected": [{"name": "age", "column": "age"}]}
    rule = {"attribute": "age", "min_disparate_impact": 0.8}
    toy = make_toy("binary", data=age, gates={"fairness": [rule]})
    frame = make_frame("binary")
    toy.deliver(frame.assign(age=18 + frame["id"] % 70))
    _, report = toy.run()
    verdict = judge(report, toy.config.gates, report_digest="d")
    assert verdict.answer is Answer.CANNOT_JUDGE
    assert "fewer than two groups have 30 rows, so this rule judged no group" in verdict.headline
    rule["may_judge_nobody"] = True
    assert judge(report, toy.config.gates, report_digest="d").passed
