"""A sketch of a set of keys: a few kilobytes that estimate how much two sets of any size overlap.

It holds the `SIZE` smallest 64-bit hashes of the keys (Bar-Yossef et al., RANDOM 2002, "k minimum
values"): a random sample of the set, and the same one wherever the same keys are. A set of at most
`SIZE` keys is held whole, and what is said of it is exact. Keys are hashed as `split.py` hashes
them, with a salt of its own.
"""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from include.retraining.documents import Document

# Whoever reads a version's manifest reads sketches: numpy and pandas are imported to make or to
# compare them only, so that reading the champion costs no import of either.
if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    Hashes = npt.NDArray[np.uint64]

SIZE = 256
SALT = "sketch of keys"
"""Not that of a split: each side of one has a sample of its own. Another salt, another sketch."""


def _readable(text: str) -> str:
    data = base64.b64decode(text, validate=True)
    hashes = struct.unpack(f">{len(data) // 8}Q", data) if len(data) % 8 == 0 else (1, 0)
    if len(hashes) > SIZE or not all(before < after for before, after in pairwise(hashes)):
        raise ValueError(f"must be at most {SIZE} ascending hashes")
    return text


class KeySketch(Document):
    """The smallest hashes of a set of keys."""

    keys: Annotated[int, Field(ge=0)]
    """How many different keys the set has."""
    hashes: Annotated[str, AfterValidator(_readable)]
    """The smallest hashes, ascending: 64-bit big-endian numbers in base64."""

    @property
    def is_whole(self) -> bool:
        """Whether it holds every key of its set."""
        return self.keys <= SIZE


@dataclass(frozen=True)
class Overlap:
    """How many keys of one set are in another, as estimated from two sketches."""

    looked_up: int
    """Keys of the first set that could be looked up in the second: a random sample of the first."""
    found: int
    """Those of them that are in the second set. That is certain, not estimated."""
    is_exact: bool
    """Whether every key of the first set was looked up."""

    @property
    def share(self) -> float | None:
        """The share of the first set's keys that are in the second; None when none was looked up.

        An estimate whose standard error is at most 0.5 divided by the root of `looked_up`.
        """
        return self.found / self.looked_up if self.looked_up else None


def sketch_keys(keys: pd.Series[Any]) -> KeySketch:
    """Return the sketch of a column of keys; a key that occurs twice counts once.

    Args:
        keys: none missing. A key counts as its text; a whole number as its digits, whether it
            was read as an integer or a float.
    """
    from include.retraining.data.split import key_hashes

    return sketch_hashes(key_hashes(keys, SALT))


def sketch_hashes(hashes: Hashes) -> KeySketch:
    """Return the sketch of a set that is hashed already, evenly over 64 bits."""
    different = distinct(hashes)
    data = different[:SIZE].astype(">u8").tobytes()
    return KeySketch(keys=len(different), hashes=base64.b64encode(data).decode())


def distinct(hashes: Hashes) -> Hashes:
    """Return the different ones, ascending; on millions of them faster than `numpy.unique`."""
    import numpy as np

    ordered = np.sort(hashes)
    is_new = np.ones(len(ordered), dtype=bool)
    is_new[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_new]


def overlap(first: KeySketch, second: KeySketch) -> Overlap:
    """Return how many of the first sketch's keys are among the second's."""
    import numpy as np

    in_first, in_second = _decoded(first.hashes), _decoded(second.hashes)
    if not second.is_whole:
        in_first = in_first[in_first <= in_second[-1]]  # beyond its last hash, it says nothing
    found = int(np.isin(in_first, in_second).sum())
    return Overlap(looked_up=len(in_first), found=found, is_exact=len(in_first) == first.keys)


def similarity(first: KeySketch, second: KeySketch) -> float:
    """Return the share of the keys of both sets together that are in both (Jaccard index).

    1 when they are the same keys, 0 when none is in both. Exact when both sets together have at
    most `SIZE` keys; else an estimate whose standard error is at most 0.5 / sqrt(SIZE) = 0.03.
    """
    import numpy as np

    in_first, in_second = _decoded(first.hashes), _decoded(second.hashes)
    together = np.union1d(in_first, in_second)
    # Up to here both sketches are complete, so that what is in one only is in one set only.
    ends = [side[-1] for side, one in ((in_first, first), (in_second, second)) if not one.is_whole]
    together = together[together <= min(ends)] if ends else together
    if len(together) == 0:
        return 1.0
    return float((np.isin(together, in_first) & np.isin(together, in_second)).mean())


def _decoded(text: str) -> Hashes:
    import numpy as np

    return np.frombuffer(base64.b64decode(text, validate=True), dtype=">u8").astype(np.uint64)
