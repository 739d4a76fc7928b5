from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC

from include.retraining.training import predictions
from include.retraining.training.predictions import predict
from tests.support.toy_models import make_frame


@pytest.mark.parametrize(
    ("problem", "estimator"),
    [
        ("binary", LogisticRegression()),
        ("binary", LinearSVC()),
        ("multiclass", LogisticRegression()),
        ("regression", LinearRegression()),
    ],
)
def test_many_rows_are_predicted_in_pieces(
    monkeypatch: pytest.MonkeyPatch, problem: str, estimator: Any
):
    """An estimator never sees more than so many rows, and the pieces add up to all of them."""
    frame = make_frame(problem, 100)
    rows = frame[["a", "b"]]
    fitted = estimator.fit(rows, frame["y"])
    whole = predict(fitted, rows, problem)
    seen: list[int] = []
    method = type(estimator).predict

    def spy(self: Any, some: Any) -> Any:
        seen.append(len(some))
        return method(self, some)

    monkeypatch.setattr(type(estimator), "predict", spy)
    monkeypatch.setattr(predictions, "PIECE_ROWS", 30)
    found = predict(fitted, rows, problem)
    assert seen == [30, 30, 30, 10]
    assert found.classes == whole.classes
    assert problem == "regression" or found.values.tolist() == whole.values.tolist()
    for name in ("values", "probabilities", "scores")[problem != "regression" :]:
        ours, theirs = getattr(found, name), getattr(whole, name)
        assert (ours is None) == (theirs is None)
        assert ours is None or np.allclose(ours, theirs, rtol=0, atol=1e-12)
