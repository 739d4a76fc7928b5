"""Runs as their jobs leave them: a version, a plan, the steps' results and an evaluation.

Nothing is trained. The files are those that the core reads, written the way the jobs write them.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

from include.retraining.config.model import ModelConfig
from include.retraining.data.split_record import SplitUsed
from include.retraining.decisions.record import DecisionRecord
from include.retraining.documents import sha256_of
from include.retraining.fingerprint.digests import judging_digest
from include.retraining.fingerprint.pinned import Code, Delivery, Flag, PinnedFile
from include.retraining.gate.report import EvaluationReport
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.registry.versions import Library, VersionManifest
from include.retraining.runs.manifest import Params, RunManifest, TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.runs.results import (
    Cost,
    EvaluateResult,
    StoredObject,
    TrainResult,
    ValidateResult,
)
from include.retraining.steps.decide import abort, check_quality, deploy
from include.retraining.store.layout import version_folder, version_manifest_key
from include.retraining.store.object_store import Store
from tests.support.gate_checks import STRICT_POLICY, make_policy, make_report

MODEL = "toy_model"
FLAG_URI = "s3://landing/toy/ready.flag"
START = datetime(2026, 1, 1, 6, tzinfo=UTC)
CODE = Code(
    core_digest="c" * 64,
    model_digest="d" * 64,
    lock_digest="e" * 64,
    python="3.12",
    training_digest="f" * 64,
    judging_digest=judging_digest(),
)
COST = Cost(seconds=1.0, peak_memory_bytes=1000)
CONFIG = ModelConfig.model_validate({
    "name": MODEL,
    "title": "Toy & model",
    "description": "For tests.",
    "owner": "tests",
    "problem": "binary",
    "trigger": {"schedule": "@daily", "flag": "landing/toy/ready.flag"},
    "data": {
        "location": "landing/toy",
        "key": "id",
        "label": "label",
        "positive": 1,
        "protected": [{"name": "race", "column": "race"}],
        "split": {"by": "key", "salt": "pepper"},
    },
    "training": {"seed": 1},
    "gates": STRICT_POLICY,
})


WEEKLY = CONFIG.model_copy(update={"gates": make_policy({"min_days_between_promotions": 7})})
"""The same model, which is promoted once a week at most."""


def run_ref(number: int = 1, *, clear: int = 0) -> RunRef:
    """The run of one day."""
    return RunRef(
        model=MODEL,
        dag_id=f"retrain_{MODEL}",
        run_id=f"scheduled__{number}",
        run_after=START + timedelta(days=number),
        clear=clear,
        cause=TriggeredBy(run_type="scheduled"),
    )


def version_name(number: int) -> str:
    """The version that the run of one day makes."""
    return _fingerprint(number)[:16]


def plant_version(
    store: Store, number: int = 1, *, model_bytes: bytes | None = None, **changes: Any
) -> VersionManifest:
    """Write the version of one day's run."""
    version = version_name(number)
    data = model_bytes or f"model {number}".encode()
    manifest = VersionManifest(
        model=MODEL,
        version=version,
        fingerprint=_fingerprint(number),
        run_id=run_ref(number).run_id,
        attempt="0-1",
        created_at=run_ref(number).run_after,
        files=(PinnedFile(name="model.skops", size=len(data), sha256=sha256_of(data)),),
        problem="binary",
        features=("x",),
        classes=(0, 1),
        split=SplitUsed(by="key", holdout_fraction=0.2, salt="pepper"),
        seed=1,
        code=CODE,
        data=_delivery(number).files,
        data_date=_date(number).isoformat(),
        train_rows=1000,
        train_seconds=1.0,
        peak_memory_bytes=1000,
        model_bytes=len(data),
        libraries=(Library(name="scikit-learn", version=_scikit_learn()),),
        trusted_types=(),
    ).model_copy(update=changes)
    store.create(f"{version_folder(MODEL, version)}/0-1/model.skops", data)
    store.create(version_manifest_key(MODEL, version), manifest.to_bytes())
    return manifest


def plant_run(
    store: Store,
    number: int = 1,
    *,
    version: bool = True,
    evaluated: bool = True,
    report: dict[str, Any] | None = None,
    model_bytes: bytes | None = None,
    config: ModelConfig = CONFIG,
    **params: Any,
) -> RunRef:
    """Write what the jobs of one day's run leave before it is judged.

    Args:
        store: an initialised store.
        number: the day.
        version: whether a version was trained.
        evaluated: whether it was evaluated.
        report: what the evaluation says otherwise; by default everything is good, against what
            serves now.
        model_bytes: of the version's file.
        config: of the model.
        params: of the run, beside its date.
    """
    run = run_ref(number)
    serving = PromotionLog(store, MODEL).serving()
    manifest = RunManifest(
        model=MODEL,
        dag_id=run.dag_id,
        run_id=run.run_id,
        run=run.paths.run,
        run_after=run.run_after,
        created_at=run.run_after,
        params=Params(**{"date": _date(number), **params}),
        cause=run.cause,
        delivery=_delivery(number),
        code=CODE,
        config=config.model_dump(mode="json"),
        config_digest=config.digest,
        policy_digest=config.gates.digest,
        seed=1,
        fingerprint=_fingerprint(number),
        version=version_name(number),
        champion=serving,
    )
    paths = run.paths
    common: dict[str, Any] = {
        "run_id": run.run_id,
        "fingerprint": manifest.fingerprint,
        "finished_at": run.run_after,
        "cost": COST,
    }
    store.create(paths.manifest, manifest.to_bytes())
    validated = ValidateResult(
        **common,
        rows=2500,
        train_rows=2000,
        holdout_rows=500,
        label_rate=0.5,
        checks=("columns",),
        refused_canaries=("missing column",),
    )
    store.create(paths.result("validate"), validated.to_bytes())
    if version:
        plant_version(store, number, model_bytes=model_bytes)
        trained = TrainResult(
            **common,
            version=manifest.version,
            adopted=False,
            manifest=_output(store, version_manifest_key(MODEL, manifest.version)),
        )
        store.create(paths.result("train"), trained.to_bytes())
    if evaluated:
        written = _report(manifest, report or {})
        store.create(paths.evaluation, written.to_bytes())
        store.create(paths.predictions, b"predictions")
        result = EvaluateResult(
            **common,
            version=manifest.version,
            report=_output(store, paths.evaluation),
            predictions=_output(store, paths.predictions),
        )
        store.create(paths.result("evaluate"), result.to_bytes())
    return run


@cache
def saved_model() -> bytes:
    """A small model as skops saves it; it reads `x`."""
    import pandas as pd
    import skops.io
    from sklearn.dummy import DummyClassifier

    rows = pd.DataFrame({"x": [0.0, 1.0]})
    return bytes(skops.io.dumps(DummyClassifier(strategy="prior").fit(rows, [0, 1])))


def decide(store: Store, run: RunRef) -> DecisionRecord:
    """Judge a planted run and act on the verdict, as its tasks would."""
    verdict = check_quality(store, run)
    return deploy(store, run, actor=run.dag_id) if verdict.passed else abort(store, run)


def _report(manifest: RunManifest, changes: dict[str, Any]) -> EvaluationReport:
    about: dict[str, Any] = {
        "run_id": manifest.run_id,
        "fingerprint": manifest.fingerprint,
        "challenger.version": manifest.version,
        "best": None,
    }
    if manifest.champion is None:
        about["champion"] = None
    else:
        about["champion.serving"] = manifest.champion.model_dump()
    return make_report({**about, **changes})


def _fingerprint(number: int) -> str:
    return sha256_of(f"fingerprint {number}".encode())


def _date(number: int) -> date:
    return (START + timedelta(days=number)).date()


def _delivery(number: int) -> Delivery:
    data = f"data {number}".encode()
    return Delivery(
        location="file:///landing/toy",
        flag=Flag(uri=FLAG_URI, identity=f"identity {number}", is_consumable=True),
        files=(PinnedFile(name="data.csv", size=len(data), sha256=sha256_of(data)),),
    )


def _output(store: Store, key: str) -> StoredObject:
    data = store.read(key)
    return StoredObject(key=key, size=len(data), sha256=sha256_of(data))


def _scikit_learn() -> str:
    from importlib.metadata import version

    return version("scikit-learn")
