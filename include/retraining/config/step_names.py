"""The names of the heavy steps."""

from __future__ import annotations

from typing import Literal

Step = Literal["validate", "train", "evaluate"]
JobStep = Literal["validate", "train", "evaluate", "card", "score"]
"""The steps that run as jobs. The card is no evidence: it leaves no result and is made again.
`score` is no part of a retraining: it is the one step of a scoring run."""

STEPS: tuple[Step, ...] = ("validate", "train", "evaluate")
JOB_STEPS: tuple[JobStep, ...] = (*STEPS, "card", "score")
