"""How a job ended, and that it is to end, where its platform can neither say nor do that.

An asynchronous invocation on AWS Lambda has no state that could be asked for, and cannot be ended.
So whoever wants it to end puts a request into the store; what runs the job finds that, and puts
down how the job ended. Both lie beside the job's claim.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from include.retraining.documents import Document
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


class JobStop(Document):
    """A claimed job is to end. Put if absent."""

    number: int
    reason: str
    """Why, for people."""
    at: datetime


class JobEnd(Document):
    """A claimed job has ended. Put if absent."""

    number: int
    how: Literal["exited", "timed_out", "stopped"]
    """By itself; after its time; because of a `JobStop`."""
    exit_code: int
    """Of its process; minus the signal's number when a signal ended it."""
    last_line: str
    """Why it failed, in its own last line (`exit_protocol`); empty for any other line."""
    at: datetime


@dataclass(frozen=True)
class JobEnds:
    """How the jobs of one plan of a run ended, and which are to end."""

    store: Store
    paths: RunPaths

    def find(self, number: int) -> JobEnd | None:
        """Return how a job ended, None when it has not."""
        key = self.paths.job_ended(number)
        data = self.store.read_if_present(key)
        return None if data is None else JobEnd.from_bytes(data, where=key)

    def record(self, end: JobEnd) -> None:
        """Record how a job ended.

        Raises:
            StorageError: when the store refuses or does not answer.
        """
        self.store.create(self.paths.job_ended(end.number), end.to_bytes())

    def request_stop(self, number: int, reason: str) -> None:
        """Ask a job to end.

        Raises:
            StorageError: when the store refuses or does not answer.
        """
        stop = JobStop(number=number, reason=reason, at=datetime.now(UTC))
        self.store.create(self.paths.job_stop(number), stop.to_bytes())

    def requested_stop(self, number: int) -> JobStop | None:
        """Return why a job is to end, None when nobody asked it to."""
        key = self.paths.job_stop(number)
        data = self.store.read_if_present(key)
        return None if data is None else JobStop.from_bytes(data, where=key)
