"""An S3 server on loopback whose objects are computed from a `Past`: no disk, and 20 ms a request.

It answers what the store asks: GET, HEAD, PUT (with `If-None-Match: *`), DeleteObjects and
ListObjectsV2 with `prefix`, `delimiter`, `start-after`, `continuation-token` and pages of 1,000
keys. What is put or deleted is kept in memory over the computed keys. Signatures are not checked.
"""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

from benchmarks.past import Past

LATENCY_SECONDS = 0.020
PAGE = 1000
BUCKET = "bench"
OPTIONS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_REGION": "eu-west-3",
    "AWS_ALLOW_HTTP": "true",
}
_TIME = "2026-01-01T00:00:00.000Z"


class Objects:
    """The objects of a bucket: computed ones, and what was written over them."""

    def __init__(self, past: Past) -> None:
        """Begin with the past alone."""
        self.past = past
        self.written: dict[str, bytes] = dict(past.sent_notices())
        self.deleted: set[str] = set()
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self._folders = {
            "decisions": [f"{run}.000.json" for run in past.run_names],
            "runs": [f"{run}/begun.json" for run in past.run_names],
            "promotions": [f"{number + 1:08d}.json" for number in range(past.promotions)],
        }

    def get(self, key: str) -> bytes | None:
        """Return an object's bytes."""
        if key in self.written:
            return self.written[key]
        return None if key in self.deleted else self._computed(key)

    def _computed(self, key: str) -> bytes | None:
        top, _, rest = key.partition("/")
        model, _, rest = rest.partition("/")
        folder, _, name = rest.partition("/")
        if top != "models" or model not in self.past.names or folder not in self._folders:
            return None
        names = self._folders[folder]
        place = bisect_left(names, name)
        if place == len(names) or names[place] != name:
            return None
        if folder == "promotions":
            return self.past.entry(model, place + 1)
        return (self.past.record if folder == "decisions" else self.past.begun)(model, place)

    def put(self, key: str, data: bytes, *, only_new: bool) -> bool:
        """Keep an object; False when there is one already."""
        with self.lock:
            if only_new and self.get(key) is not None:
                return False
            self.written[key] = data
            self.deleted.discard(key)
            return True

    def delete(self, key: str) -> None:
        """Remove an object."""
        with self.lock:
            self.written.pop(key, None)
            self.deleted.add(key)

    def keys(self, prefix: str, after: str) -> Iterator[str]:
        """Yield the keys below a prefix and behind another key, in order."""
        with self.lock:
            own = sorted(key for key in self.written if key.startswith(prefix) and key > after)
        yield from (
            sorted([*own, *self._computed_keys(prefix, after)])
            if own
            else (self._computed_keys(prefix, after))
        )

    def _computed_keys(self, prefix: str, after: str) -> Iterator[str]:
        parts = prefix.split("/")
        if parts[0] != "models" or len(parts) < 3:
            yield from (f"models/{name}/promotions/00000001.json" for name in self.past.names)
            return
        if parts[1] not in self.past.names:
            return
        for folder in sorted(self._folders):
            start = f"models/{parts[1]}/{folder}/"
            if not (start.startswith(prefix) or prefix.startswith(start)):
                continue
            names = self._folders[folder]
            first = bisect_right(names, after.removeprefix(start)) if after > start else 0
            for name in names[first:]:
                key = start + name
                if key.startswith(prefix) and key not in self.written and key not in self.deleted:
                    yield key


@contextmanager
def s3_of(past: Past) -> Iterator[tuple[dict[str, str], Objects]]:
    """Serve a past; yield the store's options, and the objects with the count of requests."""
    objects = Objects(past)

    class Handler(_Handler):
        bucket = objects

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        port = server.server_address[1]
        yield {**OPTIONS, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}, objects
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    bucket: Objects

    def _begin(self) -> tuple[str, dict[str, str]]:
        """Return the key, and the query; the time on the way passes here."""
        time.sleep(LATENCY_SECONDS)
        parts = urlsplit(self.path)
        _, _, key = unquote(parts.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        what = "LIST" if "list-type" in query else self.command
        with self.bucket.lock:
            self.bucket.counts[what] += 1
        return key, query

    def do_GET(self) -> None:
        """Answer GET and LIST."""
        key, query = self._begin()
        if "list-type" in query:
            self._answer(200, _listing(self.bucket, query), kind="application/xml")
        else:
            self._object(self.bucket.get(key))

    def do_HEAD(self) -> None:
        """Answer HEAD."""
        key, _ = self._begin()
        self._object(self.bucket.get(key))

    def do_PUT(self) -> None:
        """Answer PUT."""
        key, _ = self._begin()
        data = self.rfile.read(int(self.headers["Content-Length"] or 0))
        only_new = self.headers.get("If-None-Match") == "*"
        self._answer(200 if self.bucket.put(key, data, only_new=only_new) else 412, b"", of=data)

    def do_POST(self) -> None:
        """Answer DeleteObjects."""
        self._begin()
        body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        keys = [unescape(key) for key in re.findall(r"<Key>(.*?)</Key>", body)]
        for key in keys:
            self.bucket.delete(key)
        done = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        answer = f"<DeleteResult>{done}</DeleteResult>".encode()
        self._answer(200, answer, kind="application/xml")

    def _object(self, data: bytes | None) -> None:
        if data is None:
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>", kind="application/xml")
        else:
            self._answer(200, data)

    def _answer(
        self,
        status: int,
        body: bytes,
        *,
        of: bytes | None = None,
        kind: str = "binary/octet-stream",
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", _etag(body if of is None else of))
        self.send_header("Last-Modified", formatdate(usegmt=True))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


def _listing(objects: Objects, query: dict[str, str]) -> bytes:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    after = query.get("continuation-token") or query.get("start-after", "")
    entries: list[str] = []
    folders: set[str] = set()
    last, is_cut = "", False
    for key in objects.keys(prefix, after):
        folder, found, _ = key.removeprefix(prefix).partition(delimiter or "\0")
        if delimiter and found:
            whole = prefix + folder + delimiter
            if whole in folders or after.startswith(whole):
                continue
            if len(entries) + len(folders) == PAGE:
                is_cut = True
                break
            folders.add(whole)
            last = whole + "\U0010ffff"
            continue
        if len(entries) + len(folders) == PAGE:
            is_cut = True
            break
        last = key
        entries.append(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{_TIME}</LastModified>"
            f"<ETag>{escape(_etag(key.encode()))}</ETag><Size>1000</Size></Contents>"
        )
    token = f"<NextContinuationToken>{escape(last)}</NextContinuationToken>" if is_cut else ""
    common = "".join(
        f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>"
        for one in sorted(folders)
    )
    return (
        f"<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>{str(is_cut).lower()}</IsTruncated>"
        f"{''.join(entries)}{common}{token}</ListBucketResult>"
    ).encode()


def _etag(data: bytes) -> str:
    return f'"{md5(data, usedforsecurity=False).hexdigest()}"'
