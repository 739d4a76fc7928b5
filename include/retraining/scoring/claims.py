"""The same input is scored by the same version once at a time, across runs and backends."""

from __future__ import annotations

from dataclasses import dataclass

from include.retraining.store.layout import scoring_claim_key
from include.retraining.training.training_claim import TrainingClaim, TrainingClaims


@dataclass(frozen=True)
class ScoringClaims(TrainingClaims):
    """The claims to score one partition's input by one version.

    They work as those of a training: numbered, put if absent, with a beat.
    """

    partition: str = ""
    input_digest: str = ""

    def _key(self, number: int, what: str | None = None) -> str:
        scores = f"{self.partition}.{self.version}.{self.input_digest[:16]}"
        return scoring_claim_key(self.model, scores, number, what)

    def _work(self, claim: TrainingClaim) -> str:
        return (
            f"run {claim.run_id} scores {self.partition} by this very version {self.version}; this "
            "run continues when that is done"
        )
