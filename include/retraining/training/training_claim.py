"""A version is trained once: the training is claimed by fingerprint, across runs and backends.

Runs of a backfill, or a run that follows one whose job could not be ended, may be about to train
the same data with the same code and configuration. So a job claims the training of its version
first, put if absent and numbered, and beats while it trains. A job that finds another run's claim
watches its beat: while that goes on it does nothing and says so, and its task waits without a
worker slot; when it has stopped, the claim is over and the job takes the next.

No two clocks are compared: a beat is a count, and silence is measured by who listens. A claim that
was taken for dead and was not costs a second training, never a wrong version: of two attempts, the
first manifest stays.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from include.retraining.documents import Document
from include.retraining.exceptions import StorageError, TrainingElsewhere
from include.retraining.store.layout import version_claim_key
from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

BEAT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
"""How long a claim's beat must have stopped before its training is taken for dead."""


class TrainingClaim(Document):
    """The right to train a version. Put if absent."""

    format: int = 1
    number: int
    """Of the version, from 1."""
    run_id: str
    plan: str
    """The folder of the run's plan."""
    attempt: str
    claimed_at: datetime


class Beat(Document):
    """Heartbeat of a claimed training: rewritten with a higher count while it runs."""

    count: int


class TrainingEnd(Document):
    """A claimed training is over, or was taken for dead. Put if absent."""

    by: str
    """The run that says so."""
    at: datetime


@dataclass(frozen=True)
class Claimed:
    """A claim that has not ended, and its last beat."""

    claim: TrainingClaim
    beat: int


@dataclass(frozen=True)
class TrainingClaims:
    """The claims to train one version."""

    store: Store
    model: str
    version: str
    beat_seconds: float = BEAT_SECONDS
    silence_seconds: float = SILENCE_SECONDS
    """As `SILENCE_SECONDS`."""

    def current(self) -> Claimed | None:
        """Return the newest claim, None when there is none or it has ended. Only reads.

        Raises:
            EvidenceError: when a claim is unreadable.
            StorageError: when the store refuses or does not answer.
        """
        claim = self._newest()
        if claim is None or self.store.exists(self._key(claim.number, "ended")):
            return None
        key = self._key(claim.number, "beat")
        data = self.store.read_if_present(key)
        return Claimed(claim, 0 if data is None else Beat.from_bytes(data, where=key).count)

    @contextmanager
    def hold(self, *, run_id: str, plan: str, attempt: str) -> Iterator[TrainingClaim]:
        """Hold the right to train the version for as long as the block lasts.

        A claim of the same plan is an earlier attempt's, which is over: it is not waited for.

        Args:
            run_id: of the run that wants to train.
            plan: the folder of the run's plan.
            attempt: the job's attempt id.

        Raises:
            TrainingElsewhere: when another run trains this version now.
            StorageError: when the store refuses or does not answer.
        """
        claim = self._claimed_by(run_id, plan, attempt)
        over = threading.Event()
        beating = threading.Thread(target=self._beat, args=(claim.number, over), daemon=True)
        beating.start()
        try:
            yield claim
        finally:
            over.set()
            beating.join()
            try:
                self._end(claim.number, run_id)
            except StorageError as error:
                # What became of the training counts; the claim falls silent.
                log.warning("the end of a training's claim could not be written: %s", error)

    def _claimed_by(self, run_id: str, plan: str, attempt: str) -> TrainingClaim:
        """Put down the next claim once no other run's is beating."""
        while True:
            newest, held = self._newest(), self.current()
            if held is not None:
                if held.claim.plan != plan:
                    self._require_silence(held)
                self._end(held.claim.number, run_id)
            claim = TrainingClaim(
                number=1 if newest is None else newest.number + 1,
                run_id=run_id,
                plan=plan,
                attempt=attempt,
                claimed_at=datetime.now(UTC),
            )
            if self.store.create(self._key(claim.number), claim.to_bytes()):
                return claim

    def _require_silence(self, held: Claimed) -> None:
        """Return when a claim's beat has stopped or it was ended.

        Raises:
            TrainingElsewhere: when it is still running.
        """
        claim = held.claim
        until = time.monotonic() + self.silence_seconds
        while time.monotonic() < until:
            time.sleep(min(self.beat_seconds, self.silence_seconds) / 4)
            now = self.current()
            if now is None or now.claim.number != claim.number:
                return
            if now.beat != held.beat:
                raise TrainingElsewhere(self._work(claim))
        log.warning(
            "%s: it is silent since %.0f s, so that is over",
            self._work(claim),
            self.silence_seconds,
        )

    def _work(self, claim: TrainingClaim) -> str:
        return (
            f"run {claim.run_id} trains this very version {self.version} (the same data, "
            "code and configuration); this run continues when that training is over"
        )

    def _beat(self, number: int, over: threading.Event) -> None:
        count = 0
        while not over.is_set():
            count += 1
            try:
                self.store.write(self._key(number, "beat"), Beat(count=count).to_bytes())
            except StorageError as error:  # the next one may succeed; the training continues
                log.warning("the beat of this training could not be written: %s", error)
            over.wait(self.beat_seconds)

    def _end(self, number: int, run_id: str) -> None:
        end = TrainingEnd(by=run_id, at=datetime.now(UTC))
        self.store.create(self._key(number, "ended"), end.to_bytes())

    def _newest(self) -> TrainingClaim | None:
        newest: TrainingClaim | None = None
        while True:
            key = self._key(1 if newest is None else newest.number + 1)
            data = self.store.read_if_present(key)
            if data is None:
                return newest
            newest = TrainingClaim.from_bytes(data, where=key)

    def _key(self, number: int, what: str | None = None) -> str:
        return version_claim_key(self.model, self.version, number, what)
