"""Model versions: immutable, named by their fingerprint, verified before they are loaded."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from importlib.metadata import version as library_version
from pathlib import Path

from include.retraining.config.command_protocol import FORMATS
from include.retraining.config.extras import missing_libraries
from include.retraining.config.sections import COMMAND
from include.retraining.data.split_record import SplitUsed
from include.retraining.documents import Document, sha256_of
from include.retraining.exceptions import ArtifactError, NotFound, StorageError
from include.retraining.fingerprint.fingerprint import version_of
from include.retraining.fingerprint.pinned import RECORDED_ONLY, Code, Forgotten, PinnedFile
from include.retraining.plain_files import SAFE_NAME, SAFE_PATH, plain_files
from include.retraining.runs.manifest import RunManifest
from include.retraining.store.layout import version_folder, version_manifest_key
from include.retraining.store.object_store import Store
from include.retraining.training.estimator import Estimator
from include.retraining.training.feature_categories import Categories
from include.retraining.training.predict_command import PredictCommand
from include.retraining.training.rows_used import RowsUsed
from include.retraining.training.skops_files import load_saved

MODEL_FILE = "model.skops"
# What a version that predicts by a command has instead of that file.
MODEL_PREFIX = "model/"
SCRIPTS_PREFIX = "scripts/"


class Library(Document):
    """One library's version at training time."""

    name: str
    version: str


class VersionManifest(Document):
    """Names the files of one version with their digests. Put if absent, last."""

    format: int = 1
    model: str
    version: str
    fingerprint: str
    run_id: str
    attempt: str
    """The folder below the version's that holds the files."""
    created_at: datetime
    files: tuple[PinnedFile, ...]
    """Names relative to the attempt's folder: `model.skops`, or what `predicts_by` needs."""
    problem: str
    features: tuple[str, ...]
    """The columns the model reads, in order."""
    classes: tuple[int | str, ...] | None
    """For a classifier, its classes in the order of its probabilities."""
    split: SplitUsed
    seed: int
    code: Code
    data: tuple[PinnedFile, ...]
    data_date: str
    """ISO date of the data."""
    train_rows: int
    train_seconds: float
    peak_memory_bytes: int
    model_bytes: int
    libraries: tuple[Library, ...]
    trusted_types: tuple[str, ...]
    """Reviewed types beyond skops' own list that loading needs."""
    predicts_by: PredictCommand | None = None
    """How it predicts, where it is no skops file: with the files below `model/`, by the command,
    which finds those below `scripts/` in its folder."""
    windows: PinnedFile | None = None
    """What its recipe predicted for the periods before the holdout, beside the attempt's folder."""
    rows_used: RowsUsed | None = None
    """Sketches of the rows it was trained and first scored on; None in a version of before."""
    feature_types: tuple[str, ...] | None = None
    """The types of `features` in training, as `type_name` names them; None in a version of
    before."""
    feature_categories: dict[str, Categories] | None = None
    """Of features that were categories in training, by name; without those whose values are no
    text and no whole numbers, or too many. None in a version of before."""
    forgotten: Forgotten | None = None
    """The keys whose rows it was not given; None where none were to be forgotten."""

    @property
    def folder(self) -> str:
        """The key of the folder that holds the files."""
        return f"{version_folder(self.model, self.version)}/{self.attempt}"


def find_version(
    store: Store, model: str, version: str, *, digest: str | None = None
) -> VersionManifest | None:
    """Return a version's manifest, or None when there is no such version.

    Args:
        store: where the version lies.
        model: the model's name.
        version: the version's name.
        digest: the SHA-256 that the manifest must have, where a promotion or a result says so.

    Raises:
        EvidenceError: when the manifest cannot be parsed.
        ArtifactError: when it was altered or is the manifest of something else.
    """
    key = version_manifest_key(model, version)
    data = store.read_if_present(key)
    if data is None:
        return None
    if digest is not None and sha256_of(data) != digest:
        raise ArtifactError(f"{key}: altered: its SHA-256 is no longer {digest[:12]}…")
    manifest = VersionManifest.from_bytes(data, where=key)
    if (manifest.model, manifest.version) != (model, version):
        raise ArtifactError(f"{key}: belongs to {manifest.model} version {manifest.version}")
    if version_of(manifest.fingerprint) != version:
        raise ArtifactError(f"{key}: its fingerprint {manifest.fingerprint[:16]}… is not its name")
    return manifest


def read_version(
    store: Store, model: str, version: str, *, digest: str | None = None
) -> VersionManifest:
    """Return a version's manifest, as `find_version` does.

    Raises:
        NotFound: when there is no such version.
    """
    manifest = find_version(store, model, version, digest=digest)
    if manifest is None:
        raise NotFound(f"{model}: there is no version {version!r} in {store.uri}")
    return manifest


def check_provenance(version: VersionManifest, run: RunManifest) -> None:
    """Check that a version was made from just what a run pinned.

    Raises:
        ArtifactError: naming what differs.
    """
    trained_with = version.code.model_dump(exclude={*RECORDED_ONLY})
    pinned = run.code.model_dump(exclude={*RECORDED_ONLY})
    pairs = {
        "the fingerprint": (version.fingerprint, run.fingerprint),
        "the seed": (version.seed, run.seed),
        "the data": (version.data, run.delivery.files),
        "the code": (trained_with, pinned),
        "the keys to forget": (version.forgotten and version.forgotten.pinned, run.forget),
    }
    differing = [name for name, (trained, planned) in pairs.items() if trained != planned]
    if differing:
        raise ArtifactError(
            f"{version_manifest_key(version.model, version.version)}: {' and '.join(differing)} "
            f"it was trained with differ from what run {run.run_id} pinned; it is not what it says"
        )


def verify_version(store: Store, manifest: VersionManifest) -> None:
    """Read every file of a version and compare it with the manifest.

    Raises:
        ArtifactError: for a file that is missing, altered or not named, and for a link.
    """
    _check_listing(store, manifest)
    for file in manifest.files:
        size, digest = store.digest(f"{manifest.folder}/{file.name}")
        _compare(manifest, file, size, digest)


def load_estimator(store: Store, manifest: VersionManifest, trusted: Collection[str]) -> Estimator:
    """Verify a version and load its model from the very bytes that were verified.

    Args:
        store: where the version lies.
        manifest: the version.
        trusted: reviewed types beyond skops' own list, and `command` where a version may run its
            own, from the model's configuration (`Training.trusted`). What the manifest itself says
            it needs is not trusted for saying so.

    Returns:
        The fitted estimator, or an `ExternalModel`, which runs the version's command to predict.

    Raises:
        ArtifactError: when the files are not those of the manifest, when another scikit-learn made
            them, when a library of an extra is missing, when they hold an unreviewed type, or a
            command that may not be run.
    """
    if manifest.predicts_by is None:
        _check_scikit_learn(manifest)
        _check_extras(manifest)
    return _load(manifest, _verified_files(store, manifest), trusted)


def publish_version(
    store: Store,
    manifest: VersionManifest,
    folder: Path,
    *,
    trusted: Collection[str],
    check: Callable[[Estimator], None],
) -> tuple[VersionManifest, bool]:
    """Upload a version, read it back, and put its manifest, last and only if there is none.

    Args:
        store: where the version shall lie.
        manifest: what to publish; its `attempt` names a folder with no other writer.
        folder: the local folder of its files.
        trusted: reviewed types, as for `load_estimator`.
        check: called with the model as loaded from the store; raises to refuse it.

    Returns:
        The manifest that is in the store, and whether it is another attempt's, which was first.

    Raises:
        StorageError: when the upload arrived altered.
        ArtifactError: when the model cannot be loaded, or the first attempt's files are damaged.
    """
    for file in manifest.files:
        store.upload(folder / file.name, f"{manifest.folder}/{file.name}")
    try:
        files = _verified_files(store, manifest)
    except ArtifactError as error:
        raise StorageError(f"the upload of a new version arrived altered: {error}") from error
    check(_load(manifest, files, trusted))
    key = version_manifest_key(manifest.model, manifest.version)
    if store.create(key, manifest.to_bytes()):
        return manifest, False
    first = read_version(store, manifest.model, manifest.version)
    verify_version(store, first)
    return first, True


def _verified_files(store: Store, manifest: VersionManifest) -> dict[str, bytes]:
    """Return the bytes of all files, by name, after checking them."""
    _check_listing(store, manifest)
    files = {}
    for file in manifest.files:
        data = files[file.name] = store.read(f"{manifest.folder}/{file.name}")
        _compare(manifest, file, len(data), sha256_of(data))
    return files


def _load(
    manifest: VersionManifest, files: Mapping[str, bytes], trusted: Collection[str]
) -> Estimator:
    """Return the model of a version whose files were verified."""
    if manifest.predicts_by is None:
        return load_saved(files[MODEL_FILE], f"{manifest.folder}/{MODEL_FILE}", trusted)
    from include.retraining.training.command_model import ExternalModel

    predicts_by = manifest.predicts_by
    where = f"{manifest.model} version {manifest.version}"
    if COMMAND not in trusted:
        raise ArtifactError(
            f"{where}: predicts with its own command ({' '.join(predicts_by.command)}), and the "
            "model's YAML names none: after a review, set training.allow_commands: true"
        )
    if predicts_by.format not in FORMATS:
        raise ArtifactError(
            f"{where}: its command is asked in format {predicts_by.format}, here are "
            f"{' and '.join(map(str, FORMATS))}: train it again"
        )
    return ExternalModel(
        command=predicts_by.command,
        problem=manifest.problem,
        features=manifest.features,
        classes=manifest.classes,
        positive=predicts_by.positive,
        scripts=_below(SCRIPTS_PREFIX, files),
        files=_below(MODEL_PREFIX, files),
        format=predicts_by.format,
        tables=predicts_by.tables,
    )


def _below(prefix: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {
        name.removeprefix(prefix): data for name, data in files.items() if name.startswith(prefix)
    }


def _check_scikit_learn(manifest: VersionManifest) -> None:
    used = {library.name: library.version for library in manifest.libraries}.get("scikit-learn")
    here = library_version("scikit-learn")
    if used is None or used.split(".")[:2] != here.split(".")[:2]:
        raise ArtifactError(
            f"{manifest.model} version {manifest.version}: trained with scikit-learn "
            f"{used or 'of unknown version'}, here is {here}; a model is loaded only by the minor "
            "version that made it: train it again"
        )


def _check_extras(manifest: VersionManifest) -> None:
    """Check that the libraries of its extras are here; another version of them may load it."""
    for extra in manifest.code.extras:
        missing = missing_libraries(extra.libraries)
        if missing:
            raise ArtifactError(
                f"{manifest.model} version {manifest.version}: needs {', '.join(missing)} of the "
                f"extra {extra.name}, not installed here: `make extra NAME={extra.name}`, or an "
                "image with it (docs/extras.md)"
            )


def _check_listing(store: Store, manifest: VersionManifest) -> None:
    """Compare the names below the attempt's folder with the manifest, and refuse links."""
    names = [file.name for file in manifest.files]
    is_safe = re.fullmatch(SAFE_NAME, manifest.attempt)
    if not is_safe or not all(re.fullmatch(SAFE_PATH, name) for name in names):
        raise ArtifactError(f"{manifest.folder}: the manifest names a file outside its folder")
    if manifest.predicts_by is None and MODEL_FILE not in names:
        raise ArtifactError(f"{manifest.folder}: the manifest names no {MODEL_FILE}")
    prefix = f"{manifest.folder}/"
    listed = {info.key.removeprefix(prefix) for info in store.objects(manifest.folder)}
    local = store.local_path(manifest.folder)
    if local is not None and local.is_dir():
        listed |= _plain_files(local)
    for name in sorted(set(names) ^ listed):
        problem = "missing" if name in names else "not named in the manifest"
        raise ArtifactError(f"{prefix}{name}: {problem}")


def _plain_files(folder: Path) -> set[str]:
    """Return the names in a folder on disk, which must all be files with one name each."""
    try:
        names = plain_files(folder)
    except ValueError as error:
        raise ArtifactError(f"{error} in a version's folder") from error
    for place in (folder.parent, folder):
        if not stat.S_ISDIR(place.lstat().st_mode):
            raise ArtifactError(f"{place.name}: a link or a special file in a version's folder")
    for name in names:
        if (folder / name).lstat().st_nlink != 1:
            raise ArtifactError(f"{name}: a link or a special file in a version's folder")
    return set(names)


def _compare(manifest: VersionManifest, file: PinnedFile, size: int, digest: str) -> None:
    if (size, digest) != (file.size, file.sha256):
        raise ArtifactError(
            f"{manifest.folder}/{file.name}: altered: has {size} bytes with SHA-256 {digest[:12]}…,"
            f" the manifest says {file.size} bytes with {file.sha256[:12]}…"
        )
