"""A version that is loaded by its name, and what it predicts: real models of each kind."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

from include.retraining.exceptions import ArtifactError, NotFound, TrainingError
from include.retraining.registry.promotion import Registry
from include.retraining.serving.version import LoadedVersion, load_version
from include.retraining.store.object_store import Store
from tests.support.promotions import promote
from tests.support.run_factory import MODEL, plant_run, saved_model, version_name
from tests.support.toy_commands import make_external
from tests.support.toy_models import Toy, make_frame, model_file

MakeToy = Callable[..., Toy]
ROWS = make_frame("binary", 50, seed=9)[["b", "a", "region"]]


def trained(toy: Toy, **how: object) -> LoadedVersion:
    """Train a version, which nobody promoted, and load it."""
    version = toy.train(toy.plan()).version
    return load_version(toy.store, toy.name, version, trusted=toy.config.training.trusted, **how)


@pytest.mark.parametrize(
    ("problem", "columns"),
    [
        ("binary", ["prediction", "probability_0", "probability_1"]),
        (
            "multiclass",
            ["prediction", "probability_high", "probability_low", "probability_mid"],
        ),
        ("regression", ["prediction"]),
    ],
)
def test_a_version_predicts(make_toy: MakeToy, problem: str, columns: list[str]) -> None:
    """Each kind of problem has its columns, with the model's own answers."""
    loaded = trained(make_toy(problem))
    assert loaded.generation is None
    assert loaded.features == ("a", "b")
    assert loaded.manifest.feature_types == ("float64", "float64")
    answers = loaded.predict(ROWS)
    assert list(answers) == columns
    rows = ROWS[["a", "b"]]
    assert answers["prediction"].tolist() == loaded.model.predict(rows).tolist()
    if problem != "regression":
        expected = loaded.model.predict_proba(rows)  # type: ignore[attr-defined]
        assert np.array_equal(answers[columns[1:]], expected)
        assert loaded.classes == tuple(
            name.removeprefix("probability_") for name in columns[1:]
        ) or (loaded.classes == (0, 1))


def test_a_classifier_without_probabilities_gives_its_score(make_toy: MakeToy) -> None:
    """The decision function stands for them."""
    toy = make_toy()
    toy.write_model(model_file("binary", "SGDClassifier(random_state=seed)"))
    loaded = trained(toy)
    answers = loaded.predict(ROWS)
    assert list(answers) == ["prediction", "score"]
    assert ((answers["score"] > 0) == (answers["prediction"] == 1)).all()


def test_a_version_in_another_language_predicts(make_toy: MakeToy) -> None:
    """Its command is run, where the model's YAML allows commands."""
    toy = make_toy()
    make_external(toy)
    loaded = trained(toy)
    answers = loaded.predict(ROWS)
    assert list(answers) == ["prediction", "probability_0", "probability_1"]
    assert answers["prediction"].isin([0, 1]).all()
    with pytest.raises(ArtifactError, match=r"set training\.allow_commands: true"):
        load_version(toy.store, toy.name, loaded.version, trusted=())


MOODY = """
class Moody(ClassifierMixin, BaseEstimator):
    def fit(self, rows, labels):
        self.classes_ = np.unique(labels)
        return self

    def predict(self, rows):
        if rows["b"].isna().any():
            raise ValueError("secret cell")
        return self.classes_[(rows["a"] > 0).astype(int)]

    def predict_proba(self, rows):
        return np.full((len(rows), 2), np.nan) if (rows["b"] > 90).any() else np.eye(2)[
            (rows["a"] > 0).astype(int)
        ]
"""


@pytest.mark.fault("V06")
def test_what_the_models_own_code_may_do(make_toy: MakeToy) -> None:
    """Its class is loaded when it was reviewed; its errors keep their text, and NaN is none."""
    toy = make_toy()
    moody = f"include.models.{toy.name}.Moody"
    toy.changes["training"] = {"trusted_types": [moody]}
    toy.write_model(model_file("binary", "Moody()", more=MOODY))
    loaded = trained(toy)
    assert sys.modules[f"include.models.{toy.name}"].Moody is type(loaded.model)
    assert len(loaded.predict(ROWS)) == 50
    with pytest.raises(TrainingError) as caught:
        loaded.predict(ROWS.assign(b=[*ROWS["b"][:-2], None, None]))
    said = str(caught.value)
    assert f"{toy.name} version {loaded.version}: it cannot predict these rows" in said
    assert "(cells: 2 missing in 'b')" in said
    assert "in this process's log only" in said
    assert "secret cell" not in said
    with pytest.raises(TrainingError, match="50 of 50 rows have probabilities that are no numbers"):
        loaded.predict(ROWS.assign(b=91.0))
    with pytest.raises(ArtifactError, match=rf"holds unreviewed types: {moody}"):
        load_version(toy.store, toy.name, loaded.version, trusted=())


def test_a_version_that_served_says_when(folder: Store) -> None:
    """Its generation is that of the newest entry that names it."""
    for day in (1, 2):
        promote(folder, plant_run(folder, day, model_bytes=saved_model()))
    loaded = load_version(folder, MODEL, version_name(1), trusted=())
    assert (loaded.version, loaded.generation) == (version_name(1), 1)
    Registry(folder, MODEL).rollback(version_name(1), actor="ops", reason="complaints")
    assert load_version(folder, MODEL, version_name(1), trusted=()).generation == 3


@pytest.mark.parametrize("version", ["0" * 16, "..", "a/b", ""])
def test_a_version_that_is_not_there(folder: Store, version: str) -> None:
    """It is named, and where it was sought."""
    with pytest.raises(NotFound, match=r"there is no version|is not the name of a version"):
        load_version(folder, MODEL, version, trusted=())
