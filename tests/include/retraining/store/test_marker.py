"""The place: what is a store and what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from include.retraining.exceptions import ConfigError, StorageError, StoreNotInitialised
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.marker import initialise, open_store
from include.retraining.store.object_store import Store
from tests.support.run_factory import MODEL


@pytest.mark.fault("F08")
def test_a_store_must_be_initialised(any_store: Store) -> None:
    """An empty place is an error and never a model without a champion."""
    with pytest.raises(StoreNotInitialised, match=r"is not a store.*init"):
        open_store(any_store.uri, any_store.options)
    with pytest.raises(StoreNotInitialised):
        PromotionLog(any_store, MODEL).champion()


def test_initialising_twice_changes_nothing(any_store: Store) -> None:
    """The marker of a store stays what it was."""
    initialise(any_store.uri, any_store.options)
    marker = any_store.read("store.json")
    initialise(any_store.uri, any_store.options)
    assert open_store(any_store.uri, any_store.options).read("store.json") == marker


def test_initialising_makes_the_folder(tmp_path: Path) -> None:
    """A folder that is not there yet is made."""
    initialise(f"file://{tmp_path}/a/b", {})
    assert PromotionLog(open_store(f"file://{tmp_path}/a/b", {}), MODEL).champion() is None


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A place that cannot be a folder is named in the error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be made"):
        initialise(f"file://{tmp_path}/file/store", {})


def test_an_unreadable_marker(folder: Store) -> None:
    """A damaged marker is an error."""
    folder.write("store.json", b"{}")
    with pytest.raises(StoreNotInitialised, match="not a readable store"):
        open_store(folder.uri, {})


@pytest.mark.fault("F08")
def test_a_bucket_that_is_not_there(s3_options: dict[str, str]) -> None:
    """A wrong bucket is an error."""
    with pytest.raises(StorageError):
        open_store("s3://no-such-bucket/prefix", s3_options)


@pytest.mark.fault("F08")
def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """A wrong folder is an error that says what to look at, and how a new store is made."""
    with pytest.raises(
        StorageError, match=r"no such folder: check the address.*only for a first store: .*init`"
    ):
        open_store(f"file://{tmp_path}/nowhere", {})


def test_options_come_from_the_environment(
    any_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without options, those of the environment open the store that the environment names."""
    monkeypatch.setenv("RETRAINING_STORE", any_store.uri)
    monkeypatch.setenv("RETRAINING_STORE_OPTIONS", json.dumps(any_store.options))
    initialise(any_store.uri)
    assert open_store().uri == any_store.uri
    monkeypatch.delenv("RETRAINING_STORE")
    with pytest.raises(ConfigError, match="RETRAINING_STORE"):
        open_store()
