"""What is known of every planned run, of a retraining and of a scoring alike."""

from __future__ import annotations

from typing import Any, Protocol

from include.retraining.fingerprint.pinned import Code


class Planned(Protocol):
    """A plan in the store: what its jobs and their results are held to."""

    @property
    def model(self) -> str:
        """The model's name."""

    @property
    def run_id(self) -> str:
        """Airflow's id of the run."""

    @property
    def run(self) -> str:
        """The plan's folder name."""

    @property
    def code(self) -> Code:
        """The code that the run was planned with."""

    @property
    def config(self) -> dict[str, Any]:
        """The model's configuration, as it was planned with."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what its results must be of."""

    @property
    def total_bytes(self) -> int:
        """The size of all that the run reads."""
