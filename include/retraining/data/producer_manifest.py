"""A flag that lists the files of its delivery: what a producer may write into it."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from include.retraining.data.delivery_listing import is_temporary
from include.retraining.data.delivery_place import Incomplete, Place
from include.retraining.documents import Document
from include.retraining.exceptions import (
    DeliveryError,
    EvidenceError,
)

MAX_LISTED_FILES = 1000
MAX_MANIFEST_BYTES = 2**20
CSV_ENDINGS = (".csv", ".csv.gz")
DATA_ENDINGS = (*CSV_ENDINGS, ".parquet")


class ListedFile(Document):
    """One file that a producer's manifest lists. Other keys belong to the producer."""

    model_config = ConfigDict(extra="ignore")

    name: str
    size: Annotated[int, Field(ge=0)]
    """Bytes."""
    sha256: (
        Annotated[str, StringConstraints(to_lower=True, pattern=r"^[0-9A-Fa-f]{64}$")] | None
    ) = None


class ProducerManifest(Document):
    """A flag that lists the delivery's files. Other keys belong to the producer."""

    model_config = ConfigDict(extra="ignore")

    files: Annotated[tuple[ListedFile, ...], Field(max_length=MAX_LISTED_FILES)]


def is_csv_name(name: str) -> bool:
    """Return whether a file of this name is CSV; any other is Parquet."""
    return name.endswith(CSV_ENDINGS)


def read_manifest(place: Place, name: str, size: int) -> tuple[ListedFile, ...]:
    """Parse the producer's manifest strictly; an incomplete one may still be being written.

    Raises:
        Incomplete: when it seems to be half-written.
        DeliveryError: naming the entry that is refused.
    """
    where = f"{place.uri}/{name}"
    if size > MAX_MANIFEST_BYTES:
        raise DeliveryError(f"{where}: has {size:,} bytes; allowed are {MAX_MANIFEST_BYTES:,}")
    data = place.store.read(place.key(name))
    try:
        files = ProducerManifest.from_bytes(data, where=where).files
    except EvidenceError as error:
        if data.rstrip().endswith(b"}"):
            raise DeliveryError(str(error)) from None
        raise Incomplete(f"{name} is not complete JSON yet") from None
    if not files:
        raise DeliveryError(f"{where}: lists no files")
    seen = set()
    for listed in files:
        problem = _problem_with_name(listed.name)
        if listed.name in seen:
            problem = "is listed twice"
        if problem:
            raise DeliveryError(f"{where}: {listed.name[:100]!r}: {problem}")
        if listed.size == 0:
            raise DeliveryError(f"{where}: {listed.name!r}: is listed as empty (0 bytes)")
        seen.add(listed.name)
    return files


def _problem_with_name(name: str) -> str | None:
    """Return why a listed name is refused, or None."""
    if not name or len(name) > 255 or not name.isprintable():
        return "must be 1 to 255 printable characters"
    if "/" in name or "\\" in name or ":" in name or name in {".", ".."}:
        return "must be a plain file name: no '/', '\\', ':' or '..'; files lie in the folder"
    if is_temporary(name):
        return "is the name of a temporary or hidden file"
    if not name.endswith(DATA_ENDINGS):
        return "must end in .csv, .csv.gz or .parquet"
    return None
