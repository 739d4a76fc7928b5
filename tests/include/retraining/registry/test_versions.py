from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from include.retraining.documents import sha256_of
from include.retraining.exceptions import ArtifactError, EvidenceError, NotFound
from include.retraining.registry.versions import (
    VersionManifest,
    check_provenance,
    find_version,
    load_estimator,
    read_version,
    verify_version,
)
from include.retraining.store.object_store import Store
from tests.support.toy_models import Toy

MakeToy = Callable[..., Toy]


@pytest.fixture
def toy(make_toy: MakeToy) -> Toy:
    """A model with one trained version."""
    made = make_toy()
    made.train(made.plan())
    return made


@pytest.fixture
def version(toy: Toy) -> VersionManifest:
    """That version's manifest."""
    (name,) = toy.store.children(f"models/{toy.name}/versions")[0]
    return read_version(toy.store, toy.name, name)


def on_disk(store: Store, key: str) -> Path:
    """Where an object lies."""
    path = store.local_path(key)
    assert path is not None
    return path


def with_model(store: Store, version: VersionManifest, data: bytes) -> VersionManifest:
    """Put another model file, with a manifest whose digests agree with it."""
    store.write(f"{version.folder}/model.skops", data)
    file = version.files[0].model_copy(update={"size": len(data), "sha256": sha256_of(data)})
    return version.model_copy(update={"files": (file,)})


def test_an_untouched_version_verifies_and_loads(toy: Toy, version: VersionManifest):
    """A version that nobody touched can be used."""
    verify_version(toy.store, version)
    rows = pd.DataFrame({"a": [3.0], "b": [0.0]})
    assert load_estimator(toy.store, version, ()).predict(rows).tolist() == [1]


def _flip(toy: Toy, version: VersionManifest) -> None:
    key = f"{version.folder}/model.skops"
    data = bytearray(toy.store.read(key))
    data[len(data) // 2] ^= 1
    toy.store.write(key, bytes(data))


def _truncate(toy: Toy, version: VersionManifest) -> None:
    key = f"{version.folder}/model.skops"
    toy.store.write(key, toy.store.read(key)[:-1])


def _empty(toy: Toy, version: VersionManifest) -> None:
    toy.store.write(f"{version.folder}/model.skops", b"")


def _remove(toy: Toy, version: VersionManifest) -> None:
    toy.store.delete(f"{version.folder}/model.skops")


def _add(toy: Toy, version: VersionManifest) -> None:
    toy.store.write(f"{version.folder}/extra.bin", b"x")


def _add_below(toy: Toy, version: VersionManifest) -> None:
    toy.store.write(f"{version.folder}/more/extra.bin", b"x")


def _add_hidden(toy: Toy, version: VersionManifest) -> None:
    on_disk(toy.store, f"{version.folder}/model.skops#1").write_bytes(b"x")


def _symlink(toy: Toy, version: VersionManifest) -> None:
    path = on_disk(toy.store, f"{version.folder}/model.skops")
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def _hard_link(toy: Toy, version: VersionManifest) -> None:
    path = on_disk(toy.store, f"{version.folder}/model.skops")
    os.link(path, path.parent.parent / "elsewhere")


def _link_folder(toy: Toy, version: VersionManifest) -> None:
    path = on_disk(toy.store, version.folder)
    path.rename(path.parent / "elsewhere")
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.fault("M04")
@pytest.mark.parametrize(
    "damage",
    [
        _flip,
        _truncate,
        _empty,
        _remove,
        _add,
        _add_below,
        _add_hidden,
        _symlink,
        _hard_link,
        _link_folder,
    ],
)
def test_a_damaged_version_is_refused(
    toy: Toy, version: VersionManifest, damage: Callable[[Toy, VersionManifest], None]
):
    """A bit, an end, a file too few or too many, or a link: refused, and never loaded."""
    damage(toy, version)
    with pytest.raises(ArtifactError):
        verify_version(toy.store, version)
    with pytest.raises(ArtifactError):
        load_estimator(toy.store, version, ())


@pytest.mark.fault("M04")
@pytest.mark.parametrize("damage", [_flip, _truncate, _remove, _add])
def test_a_damaged_version_is_refused_on_s3(
    make_toy: MakeToy,
    s3_bucket: str,
    s3_options: dict[str, str],
    damage: Callable[[Toy, VersionManifest], None],
):
    """The same holds for objects in a bucket."""
    toy = make_toy(store=Store(f"s3://{s3_bucket}/prefix", s3_options))
    result = toy.train(toy.plan())
    version = read_version(toy.store, toy.name, result.version)
    damage(toy, version)
    with pytest.raises(ArtifactError):
        verify_version(toy.store, version)


class _Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.fault("M01")
def test_a_pickle_named_skops_is_refused_and_does_not_run(
    toy: Toy, version: VersionManifest, tmp_path: Path
):
    """A pickle under the model's name is refused before anything in it runs."""
    marker = tmp_path / "it ran"
    altered = with_model(toy.store, version, pickle.dumps(_Evil(marker)))
    with pytest.raises(ArtifactError, match="not a readable skops file"):
        load_estimator(toy.store, altered, ())
    assert not marker.exists()


@pytest.mark.fault("C06")
@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + b"\0" * 18, b"\0" * 100])
def test_a_file_that_is_no_model_is_refused(toy: Toy, version: VersionManifest, data: bytes):
    """Nothing, an empty archive, or zeros are no model, even where the digests agree."""
    with pytest.raises(ArtifactError):
        load_estimator(toy.store, with_model(toy.store, version, data), ())


@pytest.mark.fault("M02")
def test_a_type_that_nobody_reviewed_is_not_loaded(toy: Toy, version: VersionManifest):
    """What the manifest says it trusts counts for nothing: the caller's review does."""
    buffer = io.BytesIO()
    skops.io.dump(FunctionTransformer(sha256_of), buffer)
    altered = with_model(toy.store, version, buffer.getvalue()).model_copy(
        update={"trusted_types": ("include.retraining.documents.sha256_of",)}
    )
    with pytest.raises(ArtifactError, match=r"documents\.sha256_of.*training\.trusted_types"):
        load_estimator(toy.store, altered, ())
    loaded = load_estimator(toy.store, altered, ["include.retraining.documents.sha256_of"])
    assert isinstance(loaded, FunctionTransformer)


@pytest.mark.fault("M10")
@pytest.mark.parametrize("used", ["1.8.2", "2.9.1", "0.24"])
def test_another_scikit_learn_is_refused_with_both_versions(
    toy: Toy, version: VersionManifest, used: str
):
    """A model of another minor version of scikit-learn is not loaded."""
    from sklearn import __version__ as here

    libraries = tuple(
        item.model_copy(update={"version": used}) if item.name == "scikit-learn" else item
        for item in version.libraries
    )
    altered = version.model_copy(update={"libraries": libraries})
    with pytest.raises(ArtifactError, match=f"scikit-learn {used}, here is {here}"):
        load_estimator(toy.store, altered, ())


@pytest.mark.fault("M08")
def test_a_version_without_its_libraries_is_refused(toy: Toy, version: VersionManifest):
    """Provenance that is missing is not good provenance."""
    with pytest.raises(ArtifactError, match="unknown version"):
        load_estimator(toy.store, version.model_copy(update={"libraries": ()}), ())


def test_a_manifest_copied_to_another_name_is_refused(toy: Toy, version: VersionManifest):
    """A valid old version replayed under another name is refused, and so is another model's."""
    store = toy.store
    store.write(f"models/{toy.name}/versions/{'0' * 16}/manifest.json", version.to_bytes())
    with pytest.raises(ArtifactError, match=f"belongs to {toy.name} version {version.version}"):
        read_version(store, toy.name, "0" * 16)
    store.write(f"models/other/versions/{version.version}/manifest.json", version.to_bytes())
    with pytest.raises(ArtifactError, match=f"belongs to {toy.name}"):
        read_version(store, "other", version.version)
    renamed = version.model_copy(update={"version": "1" * 16})
    store.write(f"models/{toy.name}/versions/{'1' * 16}/manifest.json", renamed.to_bytes())
    with pytest.raises(ArtifactError, match="is not its name"):
        read_version(store, toy.name, "1" * 16)


@pytest.mark.fault("M04")
def test_a_manifest_that_changed_since_it_was_promoted_is_refused(
    toy: Toy, version: VersionManifest
):
    """A promotion says which manifest it meant, byte for byte."""
    digest = version.content_digest
    assert read_version(toy.store, toy.name, version.version, digest=digest) == version
    edited = version.model_copy(update={"train_rows": 1})
    toy.store.write(
        f"models/{toy.name}/versions/{version.version}/manifest.json", edited.to_bytes()
    )
    with pytest.raises(ArtifactError, match="altered"):
        read_version(toy.store, toy.name, version.version, digest=digest)


def test_a_version_that_is_not_there_is_said_to_be_missing(toy: Toy):
    """No manifest means no such version."""
    assert find_version(toy.store, toy.name, "f" * 16) is None
    with pytest.raises(NotFound, match="there is no version"):
        read_version(toy.store, toy.name, "f" * 16)


def test_a_manifest_that_is_no_json_is_an_error(toy: Toy, version: VersionManifest):
    """A broken manifest is not a missing one."""
    toy.store.write(f"models/{toy.name}/versions/{version.version}/manifest.json", b"{")
    with pytest.raises(EvidenceError):
        find_version(toy.store, toy.name, version.version)


@pytest.mark.parametrize("attempt", ["..", "a/b", ".hidden", ""])
def test_a_manifest_cannot_name_another_folder(toy: Toy, version: VersionManifest, attempt: str):
    """The folder of the files lies below the version's own."""
    with pytest.raises(ArtifactError, match="outside its folder"):
        verify_version(toy.store, version.model_copy(update={"attempt": attempt}))


def test_a_manifest_without_a_model_is_refused(toy: Toy, version: VersionManifest):
    """A version that names no model file is none."""
    with pytest.raises(ArtifactError, match=r"names no model\.skops"):
        verify_version(toy.store, version.model_copy(update={"files": ()}))


@pytest.mark.fault("M08")
@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"fingerprint": "0" * 64}, "the fingerprint"),
        ({"seed": 8}, "the seed"),
        ({"data": ()}, "the data"),
    ],
)
def test_provenance_unlike_the_plan_is_refused(
    toy: Toy, version: VersionManifest, change: dict[str, object], what: str
):
    """A version counts for a run only if it was made from what the run pinned."""
    run = toy.plan().manifest
    check_provenance(version, run)
    with pytest.raises(ArtifactError, match=what):
        check_provenance(version.model_copy(update=change), run)


@pytest.mark.fault("M08")
@pytest.mark.parametrize("digest", ["training_digest", "python"])
def test_other_code_than_planned_is_refused_and_another_commit_is_not(
    toy: Toy, version: VersionManifest, digest: str
):
    """What trains must be the same; the commit that it came with, and what judges, need not."""
    run = toy.plan().manifest
    other = version.code.model_copy(update={digest: "0"})
    with pytest.raises(ArtifactError, match="the code"):
        check_provenance(version.model_copy(update={"code": other}), run)
    moved = version.code.model_copy(
        update={"git_sha": "abc", "image": "other", "core_digest": "0", "judging_digest": "0"}
    )
    check_provenance(version.model_copy(update={"code": moved}), run)
