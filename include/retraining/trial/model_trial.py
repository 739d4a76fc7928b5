"""One trial: plan, contract, training, evaluation, gates and card, as a run does them.

It is a dry run without Airflow: the same functions in the same order, the same evidence in the
store, and a decision record that says `dry_run`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from include.retraining.config.model import ModelConfig
from include.retraining.config.step_names import JobStep
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.exceptions import DeliveryError, StepFailed
from include.retraining.gate.verdict import Verdict
from include.retraining.runs.exit_protocol import EXIT_DONE, EXIT_RETRY
from include.retraining.runs.manifest import Params, RunManifest, TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.runs.results import read_result
from include.retraining.steps.decide import abort, check_quality, deploy
from include.retraining.steps.plan import plan_run
from include.retraining.steps.runner import run_steps
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store
from include.retraining.trial.trial_data import TrialData, trial_config

Progress = Callable[[str], None]
"""Is given a line for each step that is done."""


@dataclass(frozen=True)
class Trial:
    """What one trial came to."""

    manifest: RunManifest
    verdict: Verdict
    record: DecisionRecord
    card: str
    """The path of the model card; its address where the store is no folder."""


@dataclass(frozen=True)
class Trier:
    """Where, as what and by whom a model is tried."""

    store: Store
    """Initialised; what serves the model there is what it is compared with."""
    config: ModelConfig
    day: date
    """The date of the data."""
    user: str
    progress: Progress

    def try_model(self, data: TrialData) -> Trial:
        """Take the model through all steps of a dry run on one delivery.

        Raises:
            StepFailed: when a step failed; it has said why on standard error.
            DeliveryError: when the delivery is not there or cannot be accepted, or when its model
                serves already.
        """
        run, manifest, verdict = self._judged(data, is_dry_run=True)
        if verdict.passed:
            record = deploy(self.store, run, actor=self.user)
        else:
            record = abort(self.store, run)
        paths = RunPaths(run.model, manifest.run)
        _run("card", self.store, paths)
        key = f"{paths.card}/card.md"
        card = self.store.local_path(key)
        address = str(card) if card else f"{self.store.uri}/{key}"
        return Trial(manifest, verdict, record, address)

    def make_champion(self, data: TrialData) -> Verdict:
        """Have the model of a delivery serve in the store, by which the next one is judged.

        Raises:
            DeliveryError: when it does not pass its own gates.
            StepFailed: as `try_model`.
        """
        run, _, verdict = self._judged(data, is_dry_run=False)
        if not verdict.passed:
            raise DeliveryError(
                f"{data.name}: its model did not pass its own gates, so that there is no "
                f"champion to compare with: {verdict.headline}"
            )
        record = deploy(self.store, run, actor=self.user)
        if record.outcome is not Outcome.PROMOTED:
            raise DeliveryError(f"{data.name}: its model cannot serve: {record.reason}")
        return verdict

    def _judged(self, data: TrialData, *, is_dry_run: bool) -> tuple[RunRef, RunManifest, Verdict]:
        """Plan, validate, train, evaluate and judge."""
        run = _run_ref(self.config, self.user)
        config = trial_config(self.config, data, run.paths)
        self.store.write(config.trigger.flag, b"")
        manifest = plan_run(
            self.store,
            config,
            dag_id=run.dag_id,
            run_id=run.run_id,
            run_after=run.run_after,
            params=Params(date=self.day, dry_run=is_dry_run, reason="tried from the command line"),
            cause=run.cause,
        )
        self.progress(f"plan: {_planned(manifest)}")
        _refuse_champion(manifest)
        paths = RunPaths(run.model, manifest.run)
        for step, (word, describe) in _STEPS.items():
            began = time.monotonic()
            _run(step, self.store, paths)
            seconds = time.monotonic() - began
            done = describe(self.store, paths, manifest)
            self.progress(f"{word}: {done} ({seconds:.1f} s)")
        return run, manifest, check_quality(self.store, run)


def _run_ref(config: ModelConfig, user: str) -> RunRef:
    now = datetime.now(UTC)
    return RunRef(
        model=config.name,
        dag_id=config.dag_id,
        run_id=f"try__{now:%Y-%m-%dT%H:%M:%S}__{secrets.token_hex(4)}",
        run_after=now,
        clear=0,
        cause=TriggeredBy(run_type="manual", user=user),
    )


def _run(step: JobStep, store: Store, paths: RunPaths) -> None:
    code = run_steps([step], paths.uri(store.uri), attempt="try")
    if code != EXIT_DONE:
        raise StepFailed(
            f"{paths.model}: {step} failed, as said above",
            kind="step",
            is_permanent=code != EXIT_RETRY,
        )


def _refuse_champion(manifest: RunManifest) -> None:
    champion = manifest.champion
    if champion is not None and champion.version == manifest.version:
        raise DeliveryError(
            f"{manifest.delivery.location}: the same data and the same code as the champion's, "
            f"version {champion.version}: there is nothing to compare"
        )


def _planned(manifest: RunManifest) -> str:
    files = manifest.delivery.files
    count = "1 file" if len(files) == 1 else f"{len(files):,} files"
    champion = manifest.champion
    against = "nothing serves yet" if champion is None else f"the champion is {champion.version}"
    return f"{count}, {manifest.delivery.total_bytes:,} bytes; {against}"


def _validated(store: Store, paths: RunPaths, manifest: RunManifest) -> str:
    result = read_result(store, paths, manifest, "validate")
    return (
        f"{result.rows:,} rows keep {len(result.checks):,} rules; "
        f"{result.train_rows:,} to learn from, {result.holdout_rows:,} to judge by"
    )


def _trained(store: Store, paths: RunPaths, manifest: RunManifest) -> str:
    result = read_result(store, paths, manifest, "train")
    return f"version {result.version}" + (", trained before" if result.adopted else "")


def _scored(store: Store, paths: RunPaths, manifest: RunManifest) -> str:
    validated = read_result(store, paths, manifest, "validate")
    scored = "the version" if manifest.champion is None else "the version and the champion"
    return f"{scored} scored on {validated.holdout_rows:,} rows"


_Describe = Callable[[Store, RunPaths, RunManifest], str]
_STEPS: dict[JobStep, tuple[str, _Describe]] = {
    "validate": ("contract", _validated),
    "train": ("training", _trained),
    "evaluate": ("evaluation", _scored),
}
