"""Waiting, without a worker slot, while another run trains the very version that this one would."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, Context

from include.orchestration.backends.evaluated import evaluated
from include.retraining.exceptions import RetrainingError, TrainingElsewhere

if TYPE_CHECKING:
    from include.retraining.config.step_names import JobStep
    from include.retraining.runs.planned import Planned
    from include.retraining.store.object_store import Store

POLL_SECONDS = 20
MAX_SILENT_POLLS = 4
"""After so many checks of a claim without a new beat, a job starts and judges for itself."""

log = logging.getLogger(__name__)


class WaitsForOtherTraining(BaseOperator):
    """An operator of a step that trains a version at most once at a time, across runs.

    Before it starts a job it only checks who holds the claim (`training_claim`); the job itself
    claims. Airflow resumes the task at `look_at_training`.
    """

    step: JobStep
    _seen: tuple[int, int, int] | None = None
    """The claim, its beat, and how often it was seen so."""

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Start the job or adopt the one that is there, and see that the step is done."""
        self.begin(context)
        return self.returned(context)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> dict[str, Any] | None:
        """Go on where the task deferred; return what `execute` would have returned."""
        super().resume_execution(next_method, next_kwargs, context)
        return self.returned(context)

    def returned(self, context: Context) -> dict[str, Any] | None:
        """Return what the task hands on: of the evaluation which report it left, else nothing."""
        return evaluated(context) if self.step == "evaluate" else None

    def begin(self, context: Context) -> None:
        """Do what the backend does."""
        raise NotImplementedError

    def look_at_training(
        self,
        context: Context,
        event: Any = None,  # noqa: ARG002 the trigger's: that time has passed
        *,
        claim: int,
        beat: int,
        looks: int,
    ) -> None:
        """Go on where the task began to wait."""
        self._seen = (claim, beat, looks)
        self.begin(context)

    def wait_for_other_training(self, store: Store, manifest: Planned) -> None:
        """Defer while another run's claim on this version beats, or may.

        Raises:
            TaskDeferred: when there is something to wait for.
        """
        if self.step != "train":
            return
        from include.retraining.fingerprint.fingerprint import version_of
        from include.retraining.training.training_claim import TrainingClaims

        version = version_of(manifest.fingerprint)
        holder = TrainingClaims(store, manifest.model, version).current()
        if holder is None or holder.claim.plan == manifest.run:
            return
        now = (holder.claim.number, holder.beat)
        looks = 1
        if self._seen is not None and self._seen[:2] == now:
            looks = self._seen[2] + 1
        if looks > MAX_SILENT_POLLS:
            return
        log.info(
            "run %s trains this very version %s: waiting for that",
            holder.claim.run_id,
            version,
        )
        self._defer(*now, looks)

    @contextmanager
    def waiting_for_other_training(self) -> Iterator[None]:
        """Wait instead of failing when the job found that another run was faster.

        Raises:
            TaskDeferred: then.
        """
        try:
            yield
        except RetrainingError as error:
            if error.kind != TrainingElsewhere.kind:
                raise
            log.info("%s", error)
            self._defer(0, 0, 0)

    def _defer(self, claim: int, beat: int, looks: int) -> None:
        from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

        self.defer(
            trigger=TimeDeltaTrigger(timedelta(seconds=POLL_SECONDS)),
            method_name="look_at_training",
            kwargs={"claim": claim, "beat": beat, "looks": looks},
        )
