from __future__ import annotations

import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from include.retraining.documents import sha256_of
from include.retraining.exceptions import (
    ConfigError,
    MissingObject,
    StorageError,
    StoreRefused,
    UnusableKey,
)
from include.retraining.store import object_store as storage
from include.retraining.store.object_store import Store


def path_of(store: Store, key: str) -> Path:
    """Where an object lies on disk."""
    path = store.local_path(key)
    assert path is not None
    return path


def test_what_is_put_is_read_back(any_store: Store):
    """Any bytes survive, under any plain key."""
    for key in ("a", "deep/er/b.bin", "with space ü.csv"):
        any_store.write(key, b"\x00\xff" + key.encode())
        assert any_store.read(key) == b"\x00\xff" + key.encode()
        assert any_store.exists(key)
    any_store.write("a", b"")
    assert any_store.read("a") == b""


READS: dict[str, Callable[[Store, Path], Any]] = {
    "read": lambda store, path: store.read("missing"),
    "stream": lambda store, path: list(store.stream("missing")),
    "digest": lambda store, path: store.digest("missing"),
    "head": lambda store, path: store.head("missing"),
    "download": lambda store, path: store.download("missing", path / "copy"),
}


@pytest.mark.parametrize("way", sorted(READS))
def test_a_missing_object_is_told_by_its_address(any_store: Store, tmp_path: Path, way: str):
    """That the store says there is none is another thing than that it does not answer."""
    with pytest.raises(MissingObject, match="/missing: there is no such object"):
        READS[way](any_store, tmp_path)
    assert any_store.read_if_present("missing") is None
    assert not any_store.exists("missing")


def test_a_large_object_is_read_in_chunks(any_store: Store, tmp_path: Path):
    """Streaming, downloading and hashing see the same bytes as reading at once."""
    data = os.urandom(2**20) * 20
    source = tmp_path / "source"
    source.write_bytes(data)
    any_store.upload(source, "large/object")
    chunks = list(any_store.stream("large/object"))
    assert len(chunks) > 1
    assert b"".join(chunks) == data
    any_store.download("large/object", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data
    assert any_store.digest("large/object") == (len(data), sha256_of(data))


def test_only_the_first_creates(any_store: Store):
    """An object that is there is never replaced by `create`."""
    assert any_store.create("log/1", b"first")
    assert not any_store.create("log/1", b"second")
    assert any_store.read("log/1") == b"first"


def test_a_lost_response_is_settled_by_reading_back(any_store: Store):
    """Who tries again with the very same bytes has them in the store, by whichever try."""
    assert any_store.create("log/1", b"nonce-1")
    assert any_store.create("log/1", b"nonce-1")


def test_of_many_writers_one_creates(any_store: Store):
    """Eight writers at once, each with its own bytes: one wins, in every round."""
    with ThreadPoolExecutor(8) as pool:
        for number in range(15):
            bodies = [f"{number}-{writer}".encode() for writer in range(8)]
            won = list(
                pool.map(lambda body, at=number: any_store.create(f"log/{at}", body), bodies)
            )
            assert won.count(True) == 1
            assert any_store.read(f"log/{number}") == bodies[won.index(True)]


@pytest.mark.fault("G13")
def test_an_object_is_replaced_only_while_it_is_what_was_seen(any_store: Store):
    """Of writers that saw the same one, one replaces it; one that is gone is not made anew."""
    assert any_store.read_to_replace("a/pointer") is None
    any_store.create("a/pointer", b"one")
    seen = any_store.read_to_replace("a/pointer")
    assert seen is not None
    assert seen[0] == b"one"
    assert any_store.replace("a/pointer", b"two, longer", seen[1])
    assert not any_store.replace("a/pointer", b"three", seen[1])
    assert any_store.read("a/pointer") == b"two, longer"
    seen = any_store.read_to_replace("a/pointer")
    assert seen is not None
    any_store.delete("a/pointer")
    assert not any_store.replace("a/pointer", b"four", seen[1])
    assert not any_store.exists("a/pointer")


def test_of_many_writers_that_saw_the_same_one_replaces(any_store: Store):
    """The others know that they did not."""
    any_store.create("pointer", b"start")
    seen = any_store.read_to_replace("pointer")
    assert seen is not None
    with ThreadPoolExecutor(max_workers=8) as pool:
        done = list(
            pool.map(lambda n: any_store.replace("pointer", b"%d" % n * (n + 6), seen[1]), range(8))
        )
    assert done.count(True) == 1
    winner = done.index(True)
    assert any_store.read("pointer") == b"%d" % winner * (winner + 6)


def test_a_created_object_is_on_disk_with_its_folders(
    folder_store: Store, monkeypatch: pytest.MonkeyPatch
):
    """The file and every folder up to the store are flushed before `create` returns."""
    flushed = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(storage.os, "fsync", note)
    folder_store.create("models/m/promotions/1.json", b"x")
    root = path_of(folder_store, "").resolve()
    assert flushed == [
        root / "models/m/promotions/1.json",
        root / "models/m/promotions",
        root / "models/m",
        root / "models",
        root,
    ]


def test_a_listing_is_sorted_and_stays_in_its_folder(any_store: Store):
    """A folder's name is no prefix: `runs` does not list `runs-old`."""
    for key in ("runs/b/2", "runs/a", "runs/b/1", "runs-old/x", "other"):
        any_store.write(key, b"1")
    assert [info.key for info in any_store.objects("runs")] == ["runs/a", "runs/b/1", "runs/b/2"]
    assert [info.key for info in any_store.objects("runs/")] == ["runs/a", "runs/b/1", "runs/b/2"]
    assert [info.key for info in any_store.objects("runs", after="runs/b/1")] == ["runs/b/2"]
    assert len(any_store.objects()) == 5
    folders, objects = any_store.children("runs")
    assert folders == ["b"]
    assert [(info.key, info.size) for info in objects] == [("runs/a", 1)]


def test_a_folder_that_is_not_there_is_empty(any_store: Store):
    """Object stores have no folders, so none can be missing."""
    assert any_store.objects("nothing") == []
    assert any_store.children("nothing") == ([], [])


def test_what_a_head_says_changes_with_the_object(any_store: Store):
    """Size, time and ETag are those of the object that is there now."""
    any_store.write("a", b"1")
    first = any_store.head("a")
    assert (first.key, first.size) == ("a", 1)
    assert first.last_modified.tzinfo is not None
    any_store.write("a", b"22")
    second = any_store.head("a")
    assert second.size == 2
    assert first.etag != second.etag


def test_a_deleted_object_is_gone(any_store: Store):
    """Nothing of it is left."""
    any_store.write("a/b", b"1")
    any_store.delete("a/b")
    assert not any_store.exists("a/b")
    assert any_store.objects() == []


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/etc/passwd", "a\x00b"])
def test_no_key_leads_out_of_a_folder(folder_store: Store, key: str):
    """A path on disk is only ever one inside the store."""
    with pytest.raises(StorageError, match="is not a key of this store"):
        folder_store.local_path(key)
    with pytest.raises(StorageError):
        folder_store.read(key)
    with pytest.raises(StorageError):
        folder_store.digest(key)


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ("landing//x.csv", "landing//"),
        ("landing/a%09b.txt", r"landing/a\tb.txt"),
        ("landing/%2E/x", "landing/./"),
    ],
)
def test_a_key_that_cannot_be_read_is_told_for_good(
    s3_bucket: str, s3_options: dict[str, str], key: str, shown: str
):
    """Whoever finds a folder that cannot be listed reads which key to remove; no try heals it."""
    store = Store(f"s3://{s3_bucket}/root", s3_options)
    store.write("landing/data.csv", b"a")
    connection = HTTPConnection(urlsplit(s3_options["AWS_ENDPOINT_URL"]).netloc)
    connection.request("PUT", f"/{s3_bucket}/root/{key}", body=b"x")
    assert connection.getresponse().status == 200
    connection.close()
    with pytest.raises(UnusableKey, match=re.escape(f'remove or rename "root/{shown}')) as caught:
        store.children("landing")
    assert caught.value.is_permanent
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "shown"), [(b"a\tb.csv", r"a\tb.csv"), (b"a\nb.csv", r"a\nb.csv"), (b"\xe9", "%E9")]
)
def test_a_file_name_that_cannot_be_read_is_told_for_good(
    folder_store: Store, tmp_path: Path, name: bytes, shown: str
):
    """On disk a name with a control character or not in UTF-8 is named, escaped."""
    folder_store.write("landing/data.csv", b"a")
    folder = folder_store.local_path("landing")
    assert folder is not None
    Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(b"x")
    with pytest.raises(UnusableKey, match=re.escape(shown)) as caught:
        folder_store.children("landing")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "uri", ["", "/data/store", "http://host/x", "file://host/x", "file://relative", "s3:/bucket"]
)
def test_an_address_that_is_no_store_is_told(uri: str):
    """The address and what is allowed are named."""
    with pytest.raises(ConfigError, match="store '"):
        Store(uri)


def test_a_folder_that_is_not_there_is_no_store(tmp_path: Path):
    """A wrong path is never made into an empty store by opening it."""
    with pytest.raises(
        StorageError, match=r"no such folder: check the address, and mount its disk$"
    ):
        Store(f"file://{tmp_path / 'nothing'}")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.fault("F08")
def test_a_bucket_that_is_not_there_is_told(s3_options: dict[str, str]):
    """A listing of a wrong bucket is an error, not an empty store (F08)."""
    store = Store("s3://no-such-bucket-here/prefix", s3_options)
    with pytest.raises(StoreRefused, match="s3://no-such-bucket-here/prefix: there is no such"):
        store.objects("models")
    with pytest.raises(StorageError):
        store.create("a", b"1")


def test_a_folder_that_may_not_be_written_is_told(folder_store: Store):
    """What the disk refuses is a storage error in one line."""
    path_of(folder_store, "blocked").write_bytes(b"a file where a folder is needed")
    with pytest.raises(StorageError) as caught:
        folder_store.create("blocked/a", b"1")
    assert "\n" not in str(caught.value)


class Answering(BaseHTTPRequestHandler):
    """Answers every request with one status."""

    status = 403

    def answer(self) -> None:
        """Read what was sent, and answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 http.server's names

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.mark.fault("A12", "F08")
@pytest.mark.parametrize("status", [401, 403])
def test_a_store_that_denies_access_is_told_at_once(s3_options: dict[str, str], status: int):
    """A denied role is not retried, whatever is asked, and no key or secret is shown (A12)."""
    handler = type("Handler", (Answering,), {"status": status})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        store = Store("s3://bucket", {**s3_options, "AWS_ENDPOINT_URL": endpoint})
        for ask in (
            lambda: store.read("a"),
            lambda: store.exists("a"),
            lambda: store.objects("a"),
            lambda: store.create("a", b"1"),
            lambda: store.digest("a"),
        ):
            with pytest.raises(StoreRefused, match="denied access") as caught:
                ask()
            assert caught.value.is_permanent
            assert "test-secret" not in str(caught.value)
        server.shutdown()


@pytest.mark.fault("F08")
def test_a_store_that_does_not_answer_may_be_tried_again(s3_options: dict[str, str]):
    """After its own retries, a silent store is an error that another attempt may not see."""
    options = {**s3_options, "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    store = Store("s3://bucket", options, patience=timedelta(seconds=0.1))
    with pytest.raises(StorageError) as caught:
        store.read("a")
    assert not caught.value.is_permanent
    assert "\n" not in str(caught.value)


def test_a_store_never_shows_its_options(s3_options: dict[str, str]):
    """Neither its text nor its representation holds a secret."""
    store = Store("s3://bucket/prefix", s3_options)
    assert repr(store) == "Store('s3://bucket/prefix')"
    assert "test-secret" not in str(vars(store).get("uri"))


def test_the_environment_names_the_store(folder_store: Store, monkeypatch: pytest.MonkeyPatch):
    """Jobs get address and options by the environment, and say so when there is none."""
    monkeypatch.setenv("RETRAINING_STORE", folder_store.uri)
    monkeypatch.setenv("RETRAINING_STORE_OPTIONS", '{"AWS_REGION": "eu-west-3"}')
    store = Store.from_environment()
    assert (store.uri, store.options) == (folder_store.uri, {"AWS_REGION": "eu-west-3"})
    for options in ('{"key": "SECRET', '"SECRET"', '{"key": ["SECRET"]}'):
        monkeypatch.setenv("RETRAINING_STORE_OPTIONS", options)
        with pytest.raises(ConfigError, match="must be a JSON object of texts") as error:
            Store.from_environment()
        assert "SECRET" not in str(error.value)
    monkeypatch.delenv("RETRAINING_STORE")
    with pytest.raises(ConfigError, match="no store: give --store URI or set RETRAINING_STORE"):
        Store.from_environment()


def test_another_place_is_opened_with_the_same_options(s3_bucket: str, s3_options: dict[str, str]):
    """Data may lie in another bucket of the same account."""
    store = Store(f"s3://{s3_bucket}/prefix", s3_options)
    store.write("landing/a", b"1")
    assert store.sibling(f"s3://{s3_bucket}/prefix/landing").read("a") == b"1"
