"""What a step leaves behind as evidence that it ran, and what it leaves when it failed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeVar, overload

from pydantic import Field

from include.retraining.config.step_names import JobStep, Step
from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError, MissingObject, TrainingElsewhere
from include.retraining.fingerprint.fingerprint import version_of
from include.retraining.runs.manifest import RunManifest
from include.retraining.runs.planned import Planned
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


class StoredObject(Document):
    """One object that a step wrote."""

    key: str
    size: int
    sha256: str


class Cost(Document):
    """What a step used."""

    seconds: float
    """Wall time of the step's work, imports included."""
    peak_memory_bytes: int
    """The greatest resident set of the process."""


class StepResult(Document):
    """Common to the results of all steps."""

    format: int = 1
    run_id: str
    fingerprint: str
    finished_at: datetime
    cost: Cost

    @property
    def outputs(self) -> tuple[StoredObject, ...]:
        """The objects that must be there and unaltered for the result to count."""
        return ()


class ValidateResult(StepResult):
    """The data keeps its contract."""

    step: Literal["validate"] = "validate"
    rows: int
    train_rows: int
    holdout_rows: int
    label_rate: float | None
    """For a binary problem, the share of positive rows."""
    checks: Annotated[tuple[str, ...], Field(min_length=1)]
    """The rules that ran, by name; never empty."""
    refused_canaries: Annotated[tuple[str, ...], Field(min_length=1)]
    """The bad frames that the contract refused, by name; never empty."""


class TrainResult(StepResult):
    """There is a version for this fingerprint."""

    step: Literal["train"] = "train"
    version: str
    adopted: bool
    """True when the version was there already, or another attempt published it first."""
    differs_by: float | None = None
    """How far this attempt's predictions lay from those of the version that was first, relative to
    their size; None when they agree. The training is not deterministic then."""
    manifest: StoredObject
    """The version's manifest."""

    @property
    def outputs(self) -> tuple[StoredObject, ...]:
        """The version's manifest."""
        return (self.manifest,)


class EvaluateResult(StepResult):
    """The versions were scored on the holdout."""

    step: Literal["evaluate"] = "evaluate"
    version: str
    report: StoredObject
    predictions: StoredObject

    @property
    def outputs(self) -> tuple[StoredObject, ...]:
        """The report, and the predictions that it was made of."""
        return (self.report, self.predictions)


class StepFailure(Document):
    """The failure of a step's last failed attempt."""

    run_id: str
    step: JobStep
    attempt: str
    """The attempt's id, so that an older attempt's failure is not mistaken for this one's."""
    kind: str
    """`RetrainingError.kind`."""
    is_permanent: bool
    message: str


AnyResult = ValidateResult | TrainResult | EvaluateResult

ResultT = TypeVar("ResultT", bound=StepResult)

_KINDS: dict[Step, type[AnyResult]] = {
    "validate": ValidateResult,
    "train": TrainResult,
    "evaluate": EvaluateResult,
}


def write_result(store: Store, paths: RunPaths, manifest: Planned, result: ResultT) -> ResultT:
    """Leave a step's result as evidence, or adopt the one that another attempt left.

    A result that is there and does not verify is no evidence, and gives way to this one.

    Returns:
        The result that the store holds.

    Raises:
        EvidenceError: when this very result does not verify.
    """
    key, data = paths.result(_step_of(type(result))), result.to_bytes()
    if not store.create(key, data):
        try:
            return _verified(type(result), store, paths, manifest, store.read(key))
        except EvidenceError:
            store.write(key, data)
    return _verified(type(result), store, paths, manifest, store.read(key))


@overload
def read_result(
    store: Store, paths: RunPaths, manifest: RunManifest, step: Literal["validate"]
) -> ValidateResult: ...
@overload
def read_result(
    store: Store, paths: RunPaths, manifest: RunManifest, step: Literal["train"]
) -> TrainResult: ...
@overload
def read_result(
    store: Store, paths: RunPaths, manifest: RunManifest, step: Literal["evaluate"]
) -> EvaluateResult: ...
def read_result(store: Store, paths: RunPaths, manifest: RunManifest, step: Step) -> AnyResult:
    """Return a step's result, verified: a task that Airflow calls a success is no evidence.

    Raises:
        EvidenceError: when it is missing, unreadable, of another run or other data, or when an
            object that it names is missing or altered.
    """
    result = find_result(store, paths, manifest, step)
    if result is None:
        raise EvidenceError(
            f"{store.uri}/{paths.result(step)}: the step {step!r} left no result: it did not "
            "finish, even if its task is green; clear it"
        )
    return result


def find_result(
    store: Store, paths: RunPaths, manifest: RunManifest, step: Step
) -> AnyResult | None:
    """Return a step's verified result, or None when the step left none.

    Raises:
        EvidenceError: as `read_result`.
    """
    return find_result_of(_KINDS[step], store, paths, manifest)


def find_result_of(
    kind: type[ResultT], store: Store, paths: RunPaths, manifest: Planned
) -> ResultT | None:
    """Return a step's verified result by its kind of document, or None when the step left none.

    Raises:
        EvidenceError: as `read_result`.
    """
    data = store.read_if_present(paths.result(_step_of(kind)))
    return None if data is None else _verified(kind, store, paths, manifest, data)


def read_failure(store: Store, paths: RunPaths, step: JobStep, attempt: str) -> StepFailure | None:
    """Return the failure that an attempt recorded, None when it recorded none."""
    key = paths.failure(step)
    data = store.read_if_present(key)
    failure = None if data is None else StepFailure.from_bytes(data, where=key)
    return failure if failure is not None and failure.attempt == attempt else None


def write_failure(store: Store, paths: RunPaths, failure: StepFailure) -> None:
    """Record an attempt's failure: as the step's newest, and among those of all attempts.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    if failure.kind != TrainingElsewhere.kind:  # not a failure: the same attempt continues
        # Beside the others', so that the first cause stays known after later attempts.
        key = f"{paths.folder}/{failure.step}.failed-{failure.attempt}.json"
        store.create(key, failure.to_bytes())
    store.write(paths.failure(failure.step), failure.to_bytes())


def _verified(
    kind: type[ResultT], store: Store, paths: RunPaths, manifest: Planned, data: bytes
) -> ResultT:
    where = paths.result(_step_of(kind))
    result = kind.from_bytes(data, where=where)
    _check_belongs(result, manifest, where)
    for output in result.outputs:
        _check_output(store, output, where)
    return result


def _step_of(kind: type[StepResult]) -> str:
    return str(kind.model_fields["step"].default)


def _check_belongs(result: StepResult, manifest: Planned, where: str) -> None:
    if result.run_id != manifest.run_id:
        raise EvidenceError(f"{where}: is of the run {result.run_id}, not of {manifest.run_id}")
    if result.fingerprint != manifest.fingerprint:
        raise EvidenceError(f"{where}: is of other data, code or configuration than the run's plan")
    version = result.version if isinstance(result, TrainResult | EvaluateResult) else None
    if version is not None and version != version_of(manifest.fingerprint):
        wanted = version_of(manifest.fingerprint)
        raise EvidenceError(f"{where}: names the version {version}, not {wanted}")


def _check_output(store: Store, output: StoredObject, where: str) -> None:
    try:
        actual = store.digest(output.key)
    except MissingObject:
        raise EvidenceError(f"{where}: names {output.key}, which is missing") from None
    if actual != (output.size, output.sha256):
        raise EvidenceError(f"{where}: names {output.key}, which was altered since")
