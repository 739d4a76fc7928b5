"""Every error the core raises on purpose.

RetrainingError
├── PermanentError            the same inputs fail again: no retry
│   ├── ConfigError           a model's YAML or Python file is wrong
│   ├── ParameterError        a value in the trigger form is out of bounds
│   ├── DeliveryError         a delivery's files, flag or manifest cannot be accepted
│   ├── DataRejected          the data breaks its contract
│   ├── DataChanged           a pinned file is no longer what was pinned
│   ├── CodeChanged           a job runs other code than its manifest pins
│   ├── TrainingError         the model's own code failed
│   ├── EvidenceError         a step's result is missing, of another run, or altered
│   ├── ArtifactError         a version's files do not match its manifest, or may not be loaded
│   ├── RegistryError         the promotion log is unreadable, broken, or refuses an entry
│   │   └── Superseded        another promotion was faster, or newer data already serves
│   │       ├── Held          a rollback holds automatic promotion until it is released
│   │       └── TooSoon       the champion was promoted too recently for the next promotion
│   └── NotFound              there is no such model, run or version
├── InfrastructureError       worth another try
│   ├── StorageError          the object store refused or did not answer
│   │   ├── StoreNotInitialised  (permanent in effect: someone must run `init`)
│   │   ├── MissingObject     there is no object under a key (permanent)
│   │   ├── MissingFolder     there is no folder at a `file://` address
│   │   ├── StoreRefused      the store denied access (permanent)
│   │   └── UnusableKey       a name in the bucket cannot be read (permanent)
│   ├── JobKilled             a job ended without saying why
│   ├── TrainingElsewhere     another run trains this very version now
│   ├── AirflowUnreachable    Airflow's API does not answer
│   │   └── AirflowRefused    it answers with an error
│   ├── NotSent               a message did not reach Slack; it waits in the outbox
│   │   └── SlackRefused      Slack answered with an error
│   └── NotPublished          a target did not take a champion; it is tried again
│       └── TargetUnreachable    it does not answer
└── StepFailed                a step ended by itself; whether for good, it said
"""

from __future__ import annotations


class RetrainingError(Exception):
    """Base of every error that carries one clear line for its reader.

    Attributes:
        kind: stable word for records, alerts and exit messages.
        is_permanent: whether a retry with the same inputs is pointless.
    """

    kind = "error"
    is_permanent = True


class PermanentError(RetrainingError):
    """The same inputs fail again."""


class ConfigError(PermanentError):
    """A model's YAML or Python file is wrong."""

    kind = "config"


class ParameterError(PermanentError):
    """A run parameter is unknown or out of bounds."""

    kind = "parameter"


class DeliveryError(PermanentError):
    """A delivery cannot be accepted.

    Attributes:
        flag: the flag that named it (`manifest.Flag`), where no waiting heals what is wrong: the
            decision on it consumes the flag. None where the producer may still be writing.
    """

    kind = "delivery"

    def __init__(self, message: str, *, flag: object = None) -> None:
        super().__init__(message)
        self.flag = flag


class DataRejected(PermanentError):
    """The data breaks its contract."""

    kind = "data_rejected"


class DataChanged(PermanentError):
    """A pinned file is no longer what was pinned."""

    kind = "data_changed"


class CodeChanged(PermanentError):
    """A job runs other code than its manifest pins."""

    kind = "code_changed"


class TrainingError(PermanentError):
    """The model's own code failed."""

    kind = "training"


class EvidenceError(PermanentError):
    """A step's result is missing, belongs to another run, or was altered."""

    kind = "evidence"


class ArtifactError(PermanentError):
    """A version's files do not match its manifest, or hold an unreviewed type."""

    kind = "artifact"


class RegistryError(PermanentError):
    """The promotion log is unreadable, broken, or refuses an entry."""

    kind = "registry"


class Superseded(RegistryError):
    """Another promotion was faster, or newer data already serves."""

    kind = "superseded"


class Held(Superseded):
    """A rollback holds automatic promotion."""

    kind = "held"


class TooSoon(Superseded):
    """The champion was promoted too recently for the next promotion."""

    kind = "too_soon"


class NotFound(PermanentError):
    """There is no such model, run or version."""

    kind = "not_found"


class InfrastructureError(RetrainingError):
    """Something outside failed; another try may succeed."""

    kind = "infrastructure"
    is_permanent = False


class StorageError(InfrastructureError):
    """The object store refused or did not answer."""

    kind = "storage"


class StoreNotInitialised(StorageError):
    """The place named as the store has no store marker."""

    kind = "store_not_initialised"
    is_permanent = True


class MissingObject(StorageError):
    """There is no object under that key (the store itself answered)."""

    kind = "missing_object"
    is_permanent = True


class MissingFolder(StorageError):
    """There is no folder at a `file://` address; a disk that is mounted late may bring it."""


class StoreRefused(StorageError):
    """The store denied access, or there is no such bucket: another try gives the same answer."""

    kind = "store_refused"
    is_permanent = True


class UnusableKey(StorageError):
    """A bucket or folder has a name that obstore cannot read, and then lists nothing at all."""

    kind = "unusable_key"
    is_permanent = True


class JobKilled(InfrastructureError):
    """A job ended without saying why: killed, out of memory, or past its timeout."""

    kind = "job_killed"


class TrainingElsewhere(InfrastructureError):
    """Another run trains this very version now: there is nothing to do but to wait."""

    kind = "training_elsewhere"


class AirflowUnreachable(InfrastructureError):
    """Airflow's API does not answer, or refuses."""

    kind = "airflow"


class AirflowRefused(AirflowUnreachable):
    """Airflow's API answers with an error."""


class NotSent(InfrastructureError):
    """A message did not reach Slack.

    Attributes:
        retry_after_seconds: how long Slack asks to wait, where it does.
        is_revoked: whether this way to Slack is closed for good: no such webhook or channel.
    """

    kind = "slack"

    def __init__(
        self, message: str, *, retry_after_seconds: float | None = None, is_revoked: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.is_revoked = is_revoked


class SlackRefused(NotSent):
    """Slack answered with an error.

    Attributes:
        error: Slack's word for it.
    """

    def __init__(
        self,
        message: str,
        *,
        error: str,
        retry_after_seconds: float | None = None,
        is_revoked: bool = False,
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds, is_revoked=is_revoked)
        self.error = error


class NotPublished(InfrastructureError):
    """A target of `publish` did not take a champion, or must not be given it."""

    kind = "publishing"


class TargetUnreachable(NotPublished):
    """A target of `publish` does not answer, or is not able to now."""


class StepFailed(RetrainingError):
    """A step ended by itself, and said why or did not."""

    def __init__(self, message: str, *, kind: str, is_permanent: bool) -> None:
        super().__init__(message)
        self.kind = kind
        self.is_permanent = is_permanent
