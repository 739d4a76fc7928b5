"""MLflow: a version for each version of ours, with files, metrics and card, and an alias.

Every step may be repeated: a run and a version are found again by their tags, and what is uploaded
twice is the same. So a process that is killed anywhere leaves nothing that is counted twice.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from include.retraining.exceptions import ArtifactError, NotPublished
from include.retraining.formatting.text import truncate
from include.retraining.publishing.mlflow_api import MlflowApi
from include.retraining.publishing.publication import CARD, Champion
from include.retraining.publishing.state import TargetState
from include.retraining.publishing.target import Receipt, require_not_newer

MODEL_TAG = "retraining.model"
STORE_TAG = "retraining.store"
GENERATION_TAG = "retraining.generation"
VERSION_TAG = "retraining.version"
DIGEST_TAG = "retraining.version_digest"
CARD_TAG = "retraining.card"
CARD_PATIENCE = timedelta(days=1)
"""How long after the promotion a model card is waited for; it is made beside the promotion."""
DESCRIPTION_LENGTH = 5000
"""MLflow's own limit for the text of a version is larger in each of its databases."""


class MlflowRegistry:
    """One registered model of a tracking server."""

    def __init__(self, api: MlflowApi, name: str, alias: str, *, sets_back: bool) -> None:
        """Describe it.

        Args:
            api: of the server.
            name: the registered model.
            alias: names the champion's version.
            sets_back: whether an alias that someone else moved is set back.
        """
        self._api = api
        self._name = name
        self._alias = alias
        self.sets_back = sets_back

    def publish(self, champion: Champion, *, is_ours: bool) -> Receipt:  # noqa: ARG002 of `Target`
        """Register the version where it is new, then let the alias name it."""
        self._claim(champion)
        found = self._api.find_version(self._name, DIGEST_TAG, champion.entry.version_digest)
        number, tags = found or (self._register(champion), {})
        generation = str(champion.entry.generation)
        self._api.tag_registered(self._name, GENERATION_TAG, generation)
        self._api.set_alias(self._name, self._alias, number)
        return Receipt(number, is_complete=CARD_TAG in tags or self._add_card(champion, number))

    def difference(self, state: TargetState) -> str | None:
        """Ask which version the alias names."""
        number = self._api.aliased(self._name, self._alias)
        if number == state.receipt:
            return None
        if number is None:
            return f"the alias {self._alias} of {self._name} is gone"
        return (
            f"the alias {self._alias} of {self._name} names version {number} in MLflow instead of "
            f"{state.receipt}"
        )

    def _claim(self, champion: Champion) -> None:
        """Make the registered model, or make sure that it is this model's, and not newer."""
        owner = {MODEL_TAG: champion.entry.model, STORE_TAG: champion.store.uri}
        tags = self._api.registered_tags(self._name)
        if tags is None:
            self._api.register(self._name, champion.title, owner)
            return
        for key, value in owner.items():
            if tags.get(key, value) != value:
                raise NotPublished(
                    f"the registered model {self._name} is of {tags.get(MODEL_TAG)} in "
                    f"{tags.get(STORE_TAG)}: give publish.mlflow.registered_model another name, or "
                    f"remove its tag {key} if that one is given up"
                )
            if key not in tags:
                self._api.tag_registered(self._name, key, value)
        newest = tags.get(GENERATION_TAG, "0")
        require_not_newer(int(newest) if newest.isdecimal() else 0, champion, self._name)

    def _register(self, champion: Champion) -> str:
        entry, manifest = champion.entry, champion.manifest
        tags = {
            MODEL_TAG: entry.model,
            STORE_TAG: champion.store.uri,
            VERSION_TAG: entry.version,
            DIGEST_TAG: entry.version_digest,
            "retraining.data_date": manifest.data_date,
            "retraining.run_id": manifest.run_id,
        }
        experiment = self._api.experiment(self._name)
        run = self._api.find_run(experiment, DIGEST_TAG, entry.version_digest)
        if run is None:
            started = _milliseconds(manifest.created_at)
            run = self._api.create_run(experiment, entry.version, started, tags)
        if run.status != "FINISHED":
            self._upload(champion, run.artifact_uri)
            at = _milliseconds(entry.created_at)
            self._api.log_metrics(run.run_id, champion.metrics(), at)
            self._api.finish_run(run.run_id, at)
        source, text = (
            f"{run.artifact_uri}/model",
            f"{champion.title}, data of {manifest.data_date}",
        )
        return self._api.create_version(self._name, source, run.run_id, text, tags)

    def _upload(self, champion: Champion, artifacts: str) -> None:
        """Copy the version's files, each checked against the manifest."""
        manifest = champion.manifest
        with tempfile.TemporaryDirectory(prefix="publish-") as folder:
            copy = Path(folder) / "file"
            for file in manifest.files:
                key = f"{manifest.folder}/{file.name}"
                if champion.store.digest(key) != (file.size, file.sha256):
                    raise ArtifactError(f"{key}: altered: it is not what its manifest says")
                champion.store.download(key, copy)
                self._api.upload(artifacts, f"model/{file.name}", copy)
        self._api.upload(artifacts, "model/champion.json", champion.publication.to_bytes())

    def _add_card(self, champion: Champion, number: str) -> bool:
        """Add the model card to a version; return False while it is to be waited for."""
        files = champion.card()
        if files is None:
            return datetime.now(UTC) > champion.entry.created_at + CARD_PATIENCE
        experiment = self._api.experiment(self._name)
        run = self._api.find_run(experiment, DIGEST_TAG, champion.entry.version_digest)
        if run is not None:  # else someone removed it
            for name, data in files.items():
                self._api.upload(run.artifact_uri, f"card/{name}", data)
        text = truncate(files[CARD].decode(), DESCRIPTION_LENGTH)
        self._api.describe_version(self._name, number, text)
        self._api.tag_version(self._name, number, CARD_TAG, "card/card.md")
        return True


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)
