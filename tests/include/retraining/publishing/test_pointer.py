"""The pointer names whole versions only, and never an older generation after a newer one."""

from __future__ import annotations

import json
from threading import Thread

import pytest

from include.retraining.exceptions import ArtifactError, NotPublished
from include.retraining.publishing.pointer import PointerFile
from include.retraining.publishing.publication import Publication
from include.retraining.publishing.state import TargetState
from include.retraining.store.layout import version_folder
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from tests.support.promotions import promote_days
from tests.support.published import POINTER, champion_of
from tests.support.run_factory import MODEL, version_name


@pytest.fixture
def store(any_store: Store) -> Store:
    """An initialised store: a folder, and for what a bucket does otherwise, a bucket too."""
    return initialise(any_store.uri, any_store.options)


on_a_folder = pytest.mark.parametrize("any_store", ["folder"], indirect=True)


@pytest.fixture
def pointer(store: Store) -> PointerFile:
    """The pointer of a model with two promotions."""
    promote_days(store, 1, 2)
    return PointerFile(store, POINTER, sets_back=False)


def named(store: Store) -> Publication:
    """Return what the pointer names."""
    return Publication.from_bytes(store.read(POINTER), where=POINTER)


def test_it_is_replaced_by_the_next_champion_and_the_same_one_changes_nothing(
    store: Store, pointer: PointerFile
) -> None:
    """A reader finds the version's files, with their digests, from the file alone."""
    for generation in (1, 2):
        receipts = {pointer.publish(champion_of(store, generation), is_ours=False) for _ in "ab"}
        assert len(receipts) == 1
    publication = named(store)
    assert (publication.generation, publication.version) == (2, version_name(2))
    assert publication.store == store.uri
    (file,) = publication.files
    assert store.digest(f"{publication.folder}/{file.name}") == (file.size, file.sha256)


@pytest.mark.fault("Q03")
def test_an_older_generation_is_refused(store: Store, pointer: PointerFile) -> None:
    """A sender that comes late changes nothing (Q03)."""
    pointer.publish(champion_of(store, 2), is_ours=True)
    with pytest.raises(NotPublished, match="has generation 2 of toy_model already"):
        pointer.publish(champion_of(store, 1), is_ours=True)
    assert named(store).generation == 2


@pytest.mark.fault("Q03")
def test_of_two_senders_at_once_the_newer_one_stays(store: Store, pointer: PointerFile) -> None:
    """In whatever order they read and put (Q03)."""
    old, new = champion_of(store, 1), champion_of(store, 2)

    def send_old() -> None:
        for _ in range(5):
            try:
                pointer.publish(old, is_ours=True)
            except NotPublished:
                return

    sender = Thread(target=send_old)
    sender.start()
    pointer.publish(new, is_ours=True)
    sender.join()
    assert named(store).generation == 2


@on_a_folder
def test_a_version_that_is_damaged_is_not_named(store: Store, pointer: PointerFile) -> None:
    """Its files are read before the file is put: a pointer never names half a version."""
    pointer.publish(champion_of(store, 1), is_ours=False)
    store.write(f"{version_folder(MODEL, version_name(2))}/0-1/model.skops", b"another")
    with pytest.raises(ArtifactError, match="altered"):
        pointer.publish(champion_of(store, 2), is_ours=True)
    assert named(store).generation == 1


@on_a_folder
@pytest.mark.parametrize("content", [b"mine", b'{"format": 1}'])
def test_a_file_that_is_no_pointer_is_replaced_only_where_there_was_one(
    store: Store, pointer: PointerFile, content: bytes
) -> None:
    """An address that is taken is refused at first."""
    store.write(POINTER, content)
    with pytest.raises(NotPublished, match="is there and is no pointer: remove it"):
        pointer.publish(champion_of(store, 2), is_ours=False)
    assert store.read(POINTER) == content
    pointer.publish(champion_of(store, 2), is_ours=True)
    assert named(store).generation == 2


@on_a_folder
def test_the_pointer_of_another_model_is_never_replaced(store: Store, pointer: PointerFile) -> None:
    """Two models with one address would take turns."""
    other = champion_of(store, 1).publication.model_copy(update={"model": "another"})
    store.write(POINTER, other.to_bytes())
    with pytest.raises(NotPublished, match="is the pointer of another in"):
        pointer.publish(champion_of(store, 2), is_ours=True)


@on_a_folder
def test_what_someone_else_did_to_the_file_is_named(store: Store, pointer: PointerFile) -> None:
    """Gone, another version, or anything else."""
    receipt = pointer.publish(champion_of(store, 2), is_ours=False).text
    state = TargetState(place=POINTER, generation=2, receipt=receipt)
    assert pointer.difference(state) is None
    store.write(POINTER, champion_of(store, 1).publication.to_bytes())
    assert f"it names version {version_name(1)} (generation 1)" in str(pointer.difference(state))
    store.write(POINTER, b"{}")
    assert "is no pointer any more" in str(pointer.difference(state))
    store.delete(POINTER)
    assert str(pointer.difference(state)).endswith(f"{POINTER} is gone")


@on_a_folder
def test_what_it_holds_is_plain_json(store: Store, pointer: PointerFile) -> None:
    """Any language reads it, and no name of a person is in it."""
    pointer.publish(champion_of(store, 1), is_ours=False)
    held = json.loads(store.read(POINTER))
    assert held["promoted_at"].endswith("Z")
    assert held["files"][0]["name"] == "model.skops"
    assert not {"actor", "reason"} & set(held)
