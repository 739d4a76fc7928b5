"""A recipe that is judged on periods before the holdout as well, from the plan to the verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.retraining.config.model_code import load_model_code
from include.retraining.exceptions import DataRejected, StorageError
from include.retraining.gate.identity import Rule
from include.retraining.gate.rules import Answer, judge
from include.retraining.privacy.forget import forget
from include.retraining.registry.versions import VersionManifest, find_version
from include.retraining.steps.evaluate import evaluate
from include.retraining.store.layout import version_folder
from include.retraining.store.object_store import Store
from include.retraining.training.walk_forward import read_walk_forward, row_hashes
from tests.support.toy_models import Toy, make_frame

MakeToy = Callable[..., Toy]
SPLIT: dict[str, Any] = {
    "by": "time",
    "column": "day",
    "holdout_days": 10,
    "windows": 3,
    "gap_days": 3,
}
HOLDOUT_ALONE = {"by": "time", "column": "day", "holdout_days": 10}


def kept_at(manifest: VersionManifest) -> str:
    """The key of what is kept of a version's recipe."""
    assert manifest.windows is not None
    return f"{version_folder(manifest.model, manifest.version)}/{manifest.windows.name}"


def answers(report: Any, toy: Toy) -> dict[Rule, Answer]:
    """The gate's answer by rule, where nothing but a champion is compared with."""
    verdict = judge(report, toy.config.gates, report_digest="digest")
    return {gate.rule: gate.answer for gate in verdict.gates}


@pytest.mark.parametrize("problem", ["binary", "multiclass", "regression"])
def test_each_window_is_predicted_by_a_fit_to_what_came_before(make_toy: MakeToy, problem: str):
    """What is kept of a period is what the recipe predicts, fitted up to the gap before it."""
    toy = make_toy(problem, data={"split": SPLIT})
    result = toy.train(toy.plan())
    manifest = find_version(toy.store, toy.name, result.version)
    assert manifest is not None
    kept = read_walk_forward(toy.store.read(kept_at(manifest)), manifest.classes)
    frame = make_frame(problem)
    days = pd.to_datetime(frame["day"])
    code = load_model_code(toy.config)
    assert code.build_estimator is not None
    for number in (1, 2):
        until = days.max() - pd.Timedelta(days=10 * number)
        inside = (days > until - pd.Timedelta(days=10)) & (days <= until)
        training = days <= until - pd.Timedelta(days=13)
        features = list(code.features)
        fitted = code.build_estimator(7).fit(frame.loc[training, features], frame["y"][training])
        places = pd.Index(kept.keys).get_indexer(pd.Index(row_hashes(frame["id"][inside])))
        expected = fitted.predict(frame.loc[inside, features])
        assert inside.sum() == 40
        assert (places >= 0).all()
        if problem == "regression":
            assert np.allclose(kept.predictions.values[places], expected)
        else:
            assert (kept.predictions.values[places] == expected).all()
    assert len(kept.keys) == 80


def test_the_final_model_is_fitted_up_to_the_gap(make_toy: MakeToy):
    """The rows of the gap before the holdout are neither fitted to nor held out."""
    toy = make_toy(data={"split": SPLIT})
    result = toy.train(toy.plan())
    manifest = find_version(toy.store, toy.name, result.version)
    assert manifest is not None
    assert manifest.train_rows == 400 - 4 * 13
    assert manifest.split.train_until is not None
    assert f"{manifest.split.train_until:%Y-%m-%d}" == "2026-03-28"
    assert (manifest.split.windows, manifest.split.gap_days) == (3, 3)


def test_a_champion_is_compared_on_rows_that_neither_had_seen(make_toy: MakeToy):
    """Later, the champion's kept predictions and its own cover the windows of a newer delivery."""
    toy, frame = make_toy(data={"split": SPLIT}), make_frame("binary", rows=420)
    toy.deliver(frame[:400])
    toy.promote(*toy.run())
    toy.deliver(frame)
    _, report = toy.run()
    assert [window.rows for window in report.windows] == [40, 40]
    for window in report.windows:
        assert window.reasons == {}
        assert {role: one.rows for role, one in window.against.items()} == {
            "baseline": 40,
            "champion": 40,
        }
        assert window.challenger > 0.5
    found = answers(report, toy)
    assert found[Rule.BASELINE_WINDOWS] is Answer.PASS
    assert found[Rule.POOLED_WINDOWS] in {Answer.PASS, Answer.FAIL}
    assert found[Rule.WORST_WINDOW] in {Answer.PASS, Answer.FAIL}


def test_a_champion_of_before_is_compared_on_the_holdout(make_toy: MakeToy):
    """A champion that was judged on the holdout alone is not judged on the windows it has seen."""
    toy = make_toy(data={"split": HOLDOUT_ALONE})
    toy.promote(*toy.run())
    toy.changes = {"data": {"split": SPLIT}}
    toy.deliver(make_frame("binary", rows=440))
    _, report = toy.run()
    assert report.champion.comparison is not None
    assert "keeps no predictions" in report.windows[1].reasons["champion"]
    found = answers(report, toy)
    assert found[Rule.POOLED_WINDOWS] is Answer.NOT_JUDGED
    assert Rule.WORST_WINDOW not in found


def test_damaged_predictions_cannot_be_judged(make_toy: MakeToy):
    """A champion whose kept predictions were altered is never taken for one without any."""
    toy = make_toy(data={"split": SPLIT})
    job, report = toy.run()
    toy.promote(job, report)
    manifest = find_version(toy.store, toy.name, job.manifest.version)
    assert manifest is not None
    toy.store.write(kept_at(manifest), b"altered")
    toy.deliver(make_frame("binary", rows=420))
    _, report = toy.run()
    assert "altered: its SHA-256" in report.windows[0].reasons["champion"]
    assert answers(report, toy)[Rule.POOLED_WINDOWS] is Answer.CANNOT_JUDGE


def test_a_store_that_refuses_is_no_verdict_on_the_recipe(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch
):
    """When the store refuses the kept predictions, the step fails and may be tried again."""
    toy = make_toy(data={"split": SPLIT})
    job = toy.plan()
    result = toy.train(job)
    manifest = find_version(toy.store, toy.name, result.version)
    assert manifest is not None
    read = Store.read

    def refuse(self: Store, key: str) -> bytes:
        if key == kept_at(manifest):
            raise StorageError(f"{key}: 503")
        return read(self, key)

    monkeypatch.setattr(Store, "read", refuse)
    with pytest.raises(StorageError, match="503"):
        evaluate(job)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"windows": 10}, "data.split.windows: the period after 2025-12-31 00:00 has no rows to"),
        ({"windows": 12}, "data.split.windows: the period after 2025-12-31 00:00 has no rows to"),
        ({"windows": 1, "gap_days": 95}, "data.split.gap_days: no row is older than the holdout"),
    ],
)
def test_a_delivery_that_is_too_short_is_refused(
    make_toy: MakeToy, changes: dict[str, Any], reason: str
):
    """Before anything is fitted, a period without rows is refused by name."""
    toy = make_toy(data={"split": {**SPLIT, **changes}})
    with pytest.raises(DataRejected, match=reason):
        toy.plan()


def test_a_key_to_forget_is_in_no_period(make_toy: MakeToy):
    """What is kept and scored of the periods is without such rows, and no period is moved."""
    toy, frame = make_toy(data={"split": SPLIT}), make_frame("binary")
    days = pd.to_datetime(frame["day"])
    inside = frame["id"][days == days.max() - pd.Timedelta(days=15)].iloc[:1]
    newest = frame["id"][days == days.max()]
    keys = [str(key) for key in (*inside, *newest)]
    forget(toy.store, toy.name, keys, actor="ada", reason="asked to")
    job, report = toy.run()
    manifest = find_version(toy.store, toy.name, job.manifest.version)
    assert manifest is not None
    kept = read_walk_forward(toy.store.read(kept_at(manifest)), manifest.classes)
    assert len(kept.keys) == 79
    assert not np.isin(row_hashes(inside), kept.keys).any()
    assert [window.rows for window in report.windows] == [39, 40]
    assert manifest.train_rows == 400 - 4 * 13 - 1
    assert manifest.split.train_until is not None
    assert f"{manifest.split.train_until:%Y-%m-%d}" == "2026-03-28"
