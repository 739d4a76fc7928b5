from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import boto3
import pytest

from include.retraining.data.delivery import inspect_delivery, pin_delivery
from include.retraining.data.delivery_place import flag_uri, open_location
from include.retraining.documents import sha256_of
from include.retraining.exceptions import DeliveryError, StorageError, StoreRefused
from include.retraining.fingerprint.pinned import Flag
from include.retraining.store.object_store import Store
from tests.support import apples
from tests.support.apples import DAY, FLAG, FOLDER

MANIFEST = f"{FOLDER}/delivery.json"
LISTED = {"trigger.flag": MANIFEST}


def look(store: Store, consumed: str | None = None, **changes: Any):
    """What one look at the apples' delivery finds."""
    return inspect_delivery(store, apples.config(changes), DAY, consumed=consumed)


def write_manifest(store: Store, *files: dict[str, Any]) -> None:
    """Write the producer's manifest."""
    store.write(MANIFEST, json.dumps({"files": list(files)}).encode())


def folder_of(store: Store) -> Path:
    """The delivery's folder on disk."""
    folder = store.local_path(FOLDER)
    assert folder is not None
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def age(path: Path, seconds: int) -> None:
    """Make a file look as if it was written some seconds ago."""
    now = path.stat().st_mtime
    os.utime(path, (now - seconds, now - seconds))


@pytest.mark.fault("A01")
def test_data_without_its_flag_is_waited_for(any_store: Store):
    """Data alone is no delivery; with its flag it is (A01)."""
    any_store.write(f"{FOLDER}/data.csv", b"a\n1\n")
    state = look(any_store)
    assert (state.is_complete, state.flag) == (False, None)
    assert state.reason == "ready.flag is not there yet"
    any_store.write(FLAG, b"")
    state = look(any_store)
    assert state.is_complete
    assert state.reason == "1 file(s), 4 bytes, are there"
    assert state.flag is not None
    assert state.flag.uri == f"{any_store.uri}/{FLAG}"


@pytest.mark.fault("A04")
def test_a_flag_without_data_is_waited_for(any_store: Store):
    """A flag that comes before its data does not start anything."""
    any_store.write(FLAG, b"")
    state = look(any_store)
    assert not state.is_complete
    assert "no file in" in state.reason
    assert "matches *.csv, *.parquet" in state.reason


def test_a_consumed_flag_does_not_count_until_it_is_written_again(folder_store: Store):
    """On disk, the same content written again in the same second is another flag."""
    apples.deliver(folder_store)
    first = look(folder_store).flag
    assert first is not None
    assert first.is_consumable
    again = look(folder_store, consumed=first.identity)
    assert not again.is_complete
    assert again.reason == "ready.flag is the one already decided on"
    flag = folder_of(folder_store) / "ready.flag"
    seconds = int(flag.stat().st_mtime)
    while look(folder_store).flag == first:  # until the kernel's clock has ticked
        flag.write_bytes(b"")
    assert flag.stat().st_mtime - seconds < 2
    assert look(folder_store, consumed=first.identity).is_complete


def test_an_empty_flag_in_a_bucket_is_told_from_yesterdays(s3_bucket: str, s3_options):
    """An ETag is the hash of nothing for every empty flag, so its time belongs to its identity."""
    store = Store(f"s3://{s3_bucket}", s3_options)
    apples.deliver(store)
    first = look(store).flag
    assert first is not None
    while look(store).flag == first:  # S3 keeps whole seconds
        store.write(FLAG, b"")
    assert look(store, consumed=first.identity).is_complete


def test_a_versioned_bucket_tells_flags_of_one_second_apart(s3_bucket: str, s3_options):
    """Where the bucket keeps versions, every write of a flag is another identity."""
    client = boto3.client(
        "s3",
        endpoint_url=s3_options["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test-secret",
    )
    client.put_bucket_versioning(Bucket=s3_bucket, VersioningConfiguration={"Status": "Enabled"})
    store = Store(f"s3://{s3_bucket}", s3_options)
    apples.deliver(store)
    identities = set()
    for _ in range(3):
        store.write(FLAG, b"")
        flag = look(store).flag
        assert flag is not None
        identities.add(flag.identity)
    assert len(identities) == 3


def test_a_dated_flag_is_not_consumed(any_store: Store):
    """The path of a dated flag says which day it is for, so an identity does not matter."""
    changes = {
        "trigger.flag": f"{FOLDER}/{{date}}/_SUCCESS",
        "data.location": f"{FOLDER}/{{date}}",
    }
    any_store.write(f"{FOLDER}/2026-11-24/data.csv", b"a\n1\n")
    any_store.write(f"{FOLDER}/2026-11-24/_SUCCESS", b"")
    state = look(any_store, **changes)
    assert state.flag is not None
    assert not state.flag.is_consumable
    assert look(any_store, consumed=state.flag.identity, **changes).is_complete
    other = inspect_delivery(any_store, apples.config(changes), date(2026, 11, 25), consumed=None)
    assert other.reason == "_SUCCESS is not there yet"


@pytest.mark.fault("A04")
def test_data_written_after_its_flag_is_waited_for(folder_store: Store):
    """Without a digest only the order of writing proves that the data is all there."""
    apples.deliver(folder_store)
    age(folder_of(folder_store) / "ready.flag", 60)
    state = look(folder_store)
    assert not state.is_complete
    assert state.reason == "data.csv is newer than the flag ready.flag"


@pytest.mark.fault("A03")
@pytest.mark.parametrize(
    "name", ["data.csv.tmp", ".data.csv", "data.csv~", "data.csv.swp", "data.csv.part", "_data.csv"]
)
def test_temporary_and_hidden_files_never_count(folder_store: Store, name: str):
    """A file that is being written, or that an editor left, is no data (A03)."""
    (folder_of(folder_store) / name).write_bytes(b"a\n1\n")
    folder_store.write(FLAG, b"")
    assert look(folder_store).reason.endswith(
        f"matches *.csv, *.parquet; temporary or hidden files do not count: {name}"
    )
    assert not look(folder_store).is_complete
    apples.deliver(folder_store)
    pinned = pin_delivery(folder_store, apples.config(), DAY)
    assert [file.name for file in pinned.files] == ["data.csv"]


@pytest.mark.parametrize(
    ("names", "seen"),
    [
        ([], ""),
        (["part-0.csv.zip"], "; there are part-0.csv.zip"),
        (["DATA.CSV"], "; there are DATA.CSV (capital letters count)"),
        (
            ["region=eu/part-0.csv"],
            "; there are folders: region=eu; files must lie directly in the folder",
        ),
        (
            [f"{number}.txt" for number in range(8)],
            "; there are 0.txt, 1.txt, 2.txt, 3.txt, 4.txt and 3 more",
        ),
    ],
    ids=["nothing", "compressed", "capitals", "folders", "many"],
)
def test_what_lies_there_instead_of_data_is_listed(any_store: Store, names: list[str], seen: str):
    """A flag that begins as hidden files do is no reason to call anything hidden."""
    changes = {"trigger.flag": f"{FOLDER}/_SUCCESS"}
    for name in names:
        any_store.write(f"{FOLDER}/{name}", b"a\n1\n")
    any_store.write(f"{FOLDER}/_SUCCESS", b"")
    reason = look(any_store, **changes).reason
    assert reason == f"no file in {any_store.uri}/{FOLDER} matches *.csv, *.parquet{seen}"


@pytest.mark.fault("A03")
def test_nested_files_and_folders_never_count(any_store: Store):
    """Only files directly in the delivery's folder belong to it (E21)."""
    any_store.write(f"{FOLDER}/old.csv/data.csv", b"a\n1\n")
    any_store.write(f"{FOLDER}/sub/data.csv", b"a\n1\n")
    any_store.write(FLAG, b"")
    assert not look(any_store).is_complete


def test_files_that_match_no_pattern_do_not_count(any_store: Store):
    """The configuration says which names are data."""
    any_store.write(f"{FOLDER}/other.csv", b"a\n1\n")
    any_store.write(f"{FOLDER}/part-1.csv", b"a\n1\n")
    any_store.write(FLAG, b"")
    pinned = pin_delivery(any_store, apples.config({"data.files": ["part-*.csv"]}), DAY)
    assert [file.name for file in pinned.files] == ["part-1.csv"]


@pytest.mark.fault("A02")
def test_an_empty_file_is_waited_for_and_never_pinned(any_store: Store):
    """A zero-byte file with a good name is no data (A02)."""
    any_store.write(f"{FOLDER}/data.csv", b"")
    any_store.write(FLAG, b"")
    assert look(any_store).reason == "data.csv is empty"
    with pytest.raises(DeliveryError, match=r"not complete: data\.csv is empty"):
        pin_delivery(any_store, apples.config(), DAY)


@pytest.mark.fault("A04")
def test_a_manifest_is_waited_for_until_every_listed_file_is_there(any_store: Store):
    """Nine of ten files, or a file shorter than listed, keep the run waiting (A04)."""
    write_manifest(any_store, {"name": "a.csv", "size": 4}, {"name": "b.csv", "size": 4})
    any_store.write(f"{FOLDER}/a.csv", b"a\n1\n")
    assert look(any_store, **LISTED).reason == "b.csv, listed in the manifest, is missing"
    any_store.write(f"{FOLDER}/b.csv", b"a\n")
    state = look(any_store, **LISTED)
    assert state.reason == "b.csv has 2 bytes, the manifest says 4: half-written"
    any_store.write(f"{FOLDER}/b.csv", b"a\n1\n")
    any_store.write(f"{FOLDER}/stranger.csv", b"a\n1\n")
    write_manifest(any_store, {"name": "b.csv", "size": 4}, {"name": "a.csv", "size": 4})
    pinned = pin_delivery(any_store, apples.config(LISTED), DAY)
    assert [file.name for file in pinned.files] == ["a.csv", "b.csv"]


def test_a_listed_digest_is_the_pin(any_store: Store):
    """What the producer says of a file's content is pinned as said, for the jobs to check."""
    any_store.write(f"{FOLDER}/a.csv", b"a\n1\n")
    write_manifest(any_store, {"name": "a.csv", "size": 4, "sha256": "0" * 64})
    assert pin_delivery(any_store, apples.config(LISTED), DAY).files[0].sha256 == "0" * 64


def test_data_with_a_listed_digest_may_arrive_after_its_manifest(folder_store: Store):
    """A digest proves the content whatever was written first."""
    folder_store.write(f"{FOLDER}/a.csv", b"a\n1\n")
    write_manifest(folder_store, {"name": "a.csv", "size": 4, "sha256": sha256_of(b"a\n1\n")})
    age(folder_of(folder_store) / "delivery.json", 60)
    assert look(folder_store, **LISTED).is_complete


def test_a_half_written_manifest_is_waited_for(any_store: Store):
    """JSON that stops in the middle is a manifest that is still being written."""
    any_store.write(MANIFEST, b'{"files": [{"name": "a.c')
    assert look(any_store, **LISTED).reason == "delivery.json is not complete JSON yet"


NAMES = [
    "../../champion.csv",
    "../a.csv",
    "..",
    "",
    "/etc/passwd",
    "/etc/passwd.csv",
    "s3://other/a.csv",
    "file:///etc/a.csv",
    "c:a.csv",
    "sub/a.csv",
    "sub\\a.csv",
    "a\x00.csv",
    "a\n.csv",
    ".hidden.csv",
    "a.csv.tmp",
    "a.csv~",
    "a.csv#1",
    "a.txt",
    "a" * 260 + ".csv",
]


@pytest.mark.fault("B10")
@pytest.mark.parametrize("name", NAMES)
def test_a_manifest_that_leaves_the_delivery_is_refused(folder_store: Store, name: str):
    """Whatever a manifest lists, nothing outside its folder is looked at (B10)."""
    write_manifest(folder_store, {"name": name, "size": 4})
    with pytest.raises(DeliveryError, match=r"delivery\.json: .*: (must|is) "):
        look(folder_store, **LISTED)


@pytest.mark.fault("B10")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"files": []}', "lists no files"),
        (b'{"files": [{"name": "a.csv", "size": 0}]}', "listed as empty"),
        (b'{"files": [{"name": "a.csv", "size": 1}, {"name": "a.csv", "size": 1}]}', "twice"),
        (b'{"files": [{"name": "a.csv", "size": 1, "size": 2}]}', "'size' is given twice"),
        (b'{"files": [{"name": "a.csv", "size": "4"}]}', "valid integer"),
        (b'{"files": [{"name": "a.csv", "size": 4.5}]}', "valid integer"),
        (b'{"files": [{"name": "a.csv", "size": true}]}', "valid integer"),
        (b'{"files": [{"name": "a.csv", "size": -1}]}', "greater than or equal to 0"),
        (b'{"files": [{"name": "a.csv", "size": NaN}]}', "NaN"),
        (b'{"files": [{"name": "a.csv", "size": 4, "sha256": "ABC"}]}', "match pattern"),
        (b'{"file": "a.csv"}', "required"),
        (b'{"files": [{"name": "a.csv", "size": 4}]} {}', "not a readable"),
        (
            json.dumps({"files": [{"name": f"{n}.csv", "size": 1} for n in range(5000)]}).encode(),
            "at most 1000",
        ),
        (b" " * (2**20 + 1), "allowed are 1,048,576"),
    ],
)
def test_a_manifest_is_parsed_strictly(folder_store: Store, content: bytes, message: str):
    """A manifest that says anything but a list of files is refused in one line."""
    folder_store.write(MANIFEST, content)
    with pytest.raises(DeliveryError, match=message) as caught:
        look(folder_store, **LISTED)
    assert "\n" not in str(caught.value)


def link(folder: Path, name: str, target: Path) -> None:
    """Make a symbolic link to something outside the store."""
    (folder / name).symlink_to(target)


@pytest.mark.fault("B10")
@pytest.mark.parametrize("link_to", [lambda root: root / "secret.csv", lambda root: Path("gone")])
def test_a_linked_file_is_refused(
    folder_store: Store, tmp_path: Path, link_to: Callable[[Path], Path]
):
    """A symbolic link among the data is refused before it is read (B10)."""
    (tmp_path / "secret.csv").write_bytes(b"a\n1\n")
    link(folder_of(folder_store), "data.csv", link_to(tmp_path))
    write_manifest(folder_store, {"name": "data.csv", "size": 4})
    folder_store.write(FLAG, b"")
    for changes in ({}, LISTED):
        if link_to(tmp_path).exists():
            with pytest.raises(DeliveryError, match="is a symbolic link"):
                look(folder_store, **changes)
        assert not _completes(folder_store, changes)


def _completes(store: Store, changes: dict[str, str]) -> bool:
    try:
        return look(store, **changes).is_complete
    except DeliveryError:
        return False


@pytest.mark.fault("B10")
def test_a_linked_flag_is_refused(folder_store: Store, tmp_path: Path):
    """A flag that is a link could be any file of the machine."""
    apples.deliver(folder_store)
    folder = folder_of(folder_store)
    (folder / "ready.flag").rename(tmp_path / "real.flag")
    link(folder, "ready.flag", tmp_path / "real.flag")
    with pytest.raises(DeliveryError, match="is a symbolic link"):
        look(folder_store)


@pytest.mark.fault("B10")
def test_a_linked_folder_may_not_lead_out_of_the_store(folder_store: Store, tmp_path: Path):
    """A folder inside the store that is a link to a place outside it is refused."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "data.csv").write_bytes(b"a\n1\n")
    (tmp_path / "elsewhere" / "ready.flag").write_bytes(b"")
    landing = folder_of(folder_store).parent
    (landing / "apples").rmdir()
    link(landing, "apples", tmp_path / "elsewhere")
    with pytest.raises(DeliveryError, match="leads out of"):
        look(folder_store)


def test_csv_beside_parquet_is_refused(any_store: Store):
    """A delivery is of one kind."""
    any_store.write(f"{FOLDER}/a.csv", b"a\n1\n")
    any_store.write(f"{FOLDER}/b.parquet", b"PAR1")
    any_store.write(FLAG, b"")
    with pytest.raises(DeliveryError, match="mixed"):
        look(any_store)


def test_a_pin_names_size_and_digest_of_every_file(any_store: Store):
    """A delivery is pinned by the content of its files, sorted by name."""
    any_store.write(f"{FOLDER}/b.csv", b"a\n2\n")
    any_store.write(f"{FOLDER}/a.csv", b"a\n1\n")
    any_store.write(FLAG, b"")
    pinned = pin_delivery(any_store, apples.config(), DAY)
    assert pinned.location == f"{any_store.uri}/{FOLDER}"
    assert [(file.name, file.size, file.sha256) for file in pinned.files] == [
        ("a.csv", 4, sha256_of(b"a\n1\n")),
        ("b.csv", 4, sha256_of(b"a\n2\n")),
    ]
    assert pinned.total_bytes == 8


def test_planning_looks_again(any_store: Store):
    """A flag is no proof: what is missing when a run is planned is told."""
    with pytest.raises(DeliveryError, match=r"not complete: ready\.flag is not there yet"):
        pin_delivery(any_store, apples.config(), DAY)


def test_a_landing_folder_that_is_gone_is_told(folder_store: Store, tmp_path: Path):
    """Whoever reads the error learns what brings a delivery's folder back; `init` does not."""
    with pytest.raises(
        StorageError, match="have the producer create it, or correct the address"
    ) as error:
        open_location(folder_store, f"file://{tmp_path / 'nothing'}")
    assert "init" not in str(error.value)


def test_an_address_of_its_own_is_opened(folder_store: Store, tmp_path: Path):
    """Flag and data may lie outside the store, at an address with a scheme."""
    outside = tmp_path / "producer"
    changes = {
        "trigger.flag": f"file://{outside}/ready.flag",
        "data.location": f"file://{outside}",
    }
    assert "no such folder yet" in look(folder_store, **changes).reason
    with pytest.raises(DeliveryError, match="no such folder yet"):
        pin_delivery(folder_store, apples.config(changes), DAY)
    outside.mkdir()
    (outside / "data.csv").write_bytes(b"a\n1\n")
    (outside / "ready.flag").write_bytes(b"")
    assert look(folder_store, **changes).is_complete
    assert flag_uri(folder_store, apples.config(changes), DAY) == f"file://{outside}/ready.flag"
    assert pin_delivery(folder_store, apples.config(changes), DAY).location == f"file://{outside}"


def test_the_address_of_a_flag_is_known_before_it_is_there(folder_store: Store):
    """The address of a flag follows from the configuration alone."""
    assert flag_uri(folder_store, apples.config(), DAY) == f"{folder_store.uri}/{FLAG}"


def test_a_bucket_that_is_not_there_is_not_waited_for(s3_options):
    """A wrong bucket is an error at once, although S3 answers as for a missing flag."""
    with pytest.raises(StoreRefused, match="no-such-bucket-here: there is no such bucket"):
        look(Store("s3://no-such-bucket-here", s3_options))


class Refusing(BaseHTTPRequestHandler):
    """Answers every request as S3 does when a role may not look."""

    def do_HEAD(self) -> None:
        """Refuse."""
        self.send_response(403)
        self.end_headers()

    do_GET = do_HEAD  # noqa: N815 the name that http.server looks for

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.mark.fault("A12")
def test_a_store_that_denies_access_is_not_waited_for(s3_options):
    """A 403 is an error at once, not a delivery to wait for (A12)."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(StoreRefused, match="denied access"):
            look(Store("s3://bucket", {**s3_options, "AWS_ENDPOINT_URL": endpoint}))
        server.shutdown()


def test_what_else_a_producer_says_is_its_own(folder_store: Store):
    """Keys of the producer's, a format of its own and a digest in capitals refuse no delivery."""
    digest = sha256_of(b"a\n1\n")
    folder_store.write(f"{FOLDER}/a.csv", b"a\n1\n")
    listed = {"name": "a.csv", "size": 4, "sha256": digest.upper(), "rows": 1}
    written = {"files": [listed], "produced_by": "etl 7", "format": "v9"}
    folder_store.write(MANIFEST, json.dumps(written).encode())
    delivery = pin_delivery(folder_store, apples.config(LISTED), DAY)
    assert [file.sha256 for file in delivery.files] == [digest]


def test_a_refusal_says_which_flag_named_the_delivery(folder_store: Store):
    """The decision on a delivery that no waiting heals can consume its flag."""
    folder_store.write(MANIFEST, b'{"files": []}')
    with pytest.raises(DeliveryError) as caught:
        look(folder_store, **LISTED)
    assert isinstance(caught.value.flag, Flag)
    assert caught.value.flag.uri.endswith(MANIFEST)
