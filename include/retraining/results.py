"""What a step leaves behind as evidence that it ran, and what it leaves when it failed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from include.retraining.documents import Document

Step = Literal["validate", "train", "evaluate"]


class Output(Document):
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


class ValidateResult(StepResult):
    """The data keeps its contract."""

    step: Literal["validate"] = "validate"
    rows: int
    train_rows: int
    holdout_rows: int
    label_rate: float | None
    """For a binary problem, the share of positive rows."""
    checks: tuple[str, ...]
    """The rules that ran, by name; never empty."""
    refused_canaries: tuple[str, ...]
    """The bad frames that the contract refused, by name; never empty."""


class TrainResult(StepResult):
    """There is a version for this fingerprint."""

    step: Literal["train"] = "train"
    version: str
    adopted: bool
    """True when the version was there already and nothing was trained."""
    manifest: Output
    """The version's manifest."""


class EvaluateResult(StepResult):
    """The versions were scored on the holdout."""

    step: Literal["evaluate"] = "evaluate"
    version: str
    report: Output
    predictions: Output


class StepFailure(Document):
    """What the last failed attempt of a step said."""

    run_id: str
    step: Step
    attempt: str
    """The attempt's own word, so that an older attempt's failure is not mistaken for this one's."""
    kind: str
    """`RetrainingError.kind`."""
    is_permanent: bool
    message: str
