"""What can go wrong on the way to a running Airflow; each message is one line for its reader."""

from __future__ import annotations


class LocalAirflowError(Exception):
    """Airflow on this machine cannot do what was asked."""


class PortTaken(LocalAirflowError):
    """Another program listens on a port that is needed."""


class AlreadyRunning(LocalAirflowError):
    """Another Airflow works in the same clone."""


class ComponentEnded(LocalAirflowError):
    """A component of Airflow ended by itself."""


class TookTooLong(LocalAirflowError):
    """Something did not happen within its time."""
