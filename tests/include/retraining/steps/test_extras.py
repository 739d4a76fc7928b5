"""Models of libraries that not every model has: trained, saved, judged and reproduced."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version as library_version
from pathlib import Path

import pytest

from include.retraining.exceptions import ArtifactError, ConfigError
from include.retraining.gate.rules import judge
from include.retraining.gate.verdict import Answer
from include.retraining.maintenance.reproduce import reproduce
from include.retraining.registry.versions import load_estimator, read_version
from tests.support.extras import LIBRARIES, lock, lock_of
from tests.support.toy_models import Toy, model_file

pytest_plugins = ("tests.support.extras_fixtures",)

MakeToy = Callable[..., Toy]
ESTIMATORS = {
    "lightgbm": "LGBMClassifier(n_estimators=5, n_jobs=1, random_state=seed, verbose=-1)",
    "xgboost-cpu": "XGBClassifier(n_estimators=5, n_jobs=1, random_state=seed)",
}
IMPORTS = {
    "lightgbm": "from lightgbm import LGBMClassifier",
    "xgboost-cpu": "from xgboost import XGBClassifier",
}
TRUSTED = {
    "lightgbm": [
        "collections.OrderedDict",
        "lightgbm.basic.Booster",
        "lightgbm.sklearn.LGBMClassifier",
    ],
    "xgboost-cpu": ["xgboost.core.Booster", "xgboost.sklearn.XGBClassifier"],
}


@pytest.fixture(params=sorted(LIBRARIES))
def toy(request: pytest.FixtureRequest, make_toy: MakeToy, extras_folder: Path) -> Toy:
    """A model of one of the libraries, which its extra locks."""
    extra = request.param
    pytest.importorskip(IMPORTS[extra].split()[1])
    (extras_folder / f"{extra}.txt").write_text(lock_of(extra))
    made = make_toy(training={"extras": [extra], "trusted_types": TRUSTED[extra]})
    made.write_model(model_file("binary", ESTIMATORS[extra], more=f"{IMPORTS[extra]}\n"))
    return made


def test_a_model_of_an_extra_goes_the_whole_way(toy: Toy) -> None:
    """It is trained, saved with skops, judged by the same gate, and reproduced to the bit."""
    job, report = toy.run()
    (extra,) = toy.config.training.extras
    version = read_version(toy.store, toy.name, job.manifest.version)
    assert version.code.extras[0].libraries == (f"{extra}=={library_version(extra)}",)
    assert (extra, library_version(extra)) in {(one.name, one.version) for one in version.libraries}
    verdict = judge(report, toy.config.gates, report_digest=report.content_digest)
    assert verdict.answer is Answer.PASS
    assert reproduce(toy.store, job.paths).lines[-2:] == [
        f"predictions on {report.holdout.rows} holdout rows: equal, bit for bit",
        "reproduced",
    ]


def test_an_upgrade_of_the_extra_is_another_version(toy: Toy, extras_folder: Path) -> None:
    """The same data and code under another lock are trained again, where they are installed."""
    (extra,) = toy.config.training.extras
    before = toy.plan().manifest
    (extras_folder / f"{extra}.txt").write_text(lock(f"{extra}==0.1"))
    with pytest.raises(ConfigError, match=rf"{extra} is .* here and 0\.1 in its lock"):
        toy.plan()
    (extras_folder / f"{extra}.txt").write_text(
        lock_of(extra) + lock(f"pytest=={library_version('pytest')}")
    )
    after = toy.plan().manifest
    assert after.fingerprint != before.fingerprint
    assert after.code.training_digest != before.code.training_digest


def test_a_version_whose_library_is_missing_is_not_loaded(toy: Toy) -> None:
    """Who serves or rolls back without the extra is told which library it needs."""
    job, _ = toy.run()
    version = read_version(toy.store, toy.name, job.manifest.version)
    (extra,) = version.code.extras
    of_another = extra.model_copy(update={"libraries": ("no-such-library==1.0",)})
    code = version.code.model_copy(update={"extras": (of_another,)})
    with pytest.raises(ArtifactError, match=r"needs no-such-library==1\.0 of the extra"):
        load_estimator(toy.store, version.model_copy(update={"code": code}), ())
