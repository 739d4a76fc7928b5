"""The names of the heavy steps."""

from __future__ import annotations

from typing import Literal

Step = Literal["validate", "train", "evaluate"]
JobStep = Literal["validate", "train", "evaluate", "card", "grade", "score"]
"""The steps that run as jobs. Card and grade are no evidence: they leave no result.
`score` is no part of a retraining: it is the one step of a scoring run."""

STEPS: tuple[Step, ...] = ("validate", "train", "evaluate")
WITHOUT_RESULT: tuple[JobStep, ...] = ("card", "grade")
JOB_STEPS: tuple[JobStep, ...] = (*STEPS, *WITHOUT_RESULT, "score")
