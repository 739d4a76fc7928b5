"""What MLflow answers, as far as publishing reads it; what else an answer holds is ignored."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Content(BaseModel):
    """An answer of which nothing is read: a JSON object."""

    model_config = ConfigDict(frozen=True, coerce_numbers_to_str=True)


class Tag(Content):
    """One tag."""

    key: str
    value: str = ""


class Tagged(Content):
    """Whatever has tags, such as a registered model."""

    tags: tuple[Tag, ...] = ()

    @property
    def by_key(self) -> dict[str, str]:
        """Its tags."""
        return {tag.key: tag.value for tag in self.tags}


class ModelVersion(Tagged):
    """A version of a registered model."""

    version: str = Field(pattern=r"^\d+$")


class RunInfo(Content):
    """What is known of a run."""

    run_id: str
    artifact_uri: str
    status: str


class Run(Content):
    """A run."""

    info: RunInfo


class Experiment(Content):
    """An experiment."""

    experiment_id: str


class RegisteredModelAnswer(Content):
    """Of `registered-models/get`."""

    registered_model: Tagged


class VersionAnswer(Content):
    """Of `registered-models/alias` and `model-versions/create`."""

    model_version: ModelVersion


class VersionsAnswer(Content):
    """Of `model-versions/search`."""

    model_versions: tuple[ModelVersion, ...] = ()


class ExperimentAnswer(Content):
    """Of `experiments/get-by-name`."""

    experiment: Experiment


class RunAnswer(Content):
    """Of `runs/create`."""

    run: Run


class RunsAnswer(Content):
    """Of `runs/search`."""

    runs: tuple[Run, ...] = ()
