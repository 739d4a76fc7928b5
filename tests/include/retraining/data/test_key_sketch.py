from __future__ import annotations

import base64

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from include.retraining.data.key_sketch import SIZE, KeySketch, overlap, similarity, sketch_keys
from include.retraining.data.split import key_hashes


def keys(first: int, last: int) -> pd.Series:
    """Keys as text, from one number to another."""
    return pd.Series([f"customer-{number}" for number in range(first, last)])


def test_what_is_said_of_small_sets_is_exact():
    """Sets that fit into a sketch overlap by just what they share."""
    ours, theirs = sketch_keys(keys(0, 120)), sketch_keys(keys(40, 200))
    assert (overlap(ours, theirs).found, overlap(ours, theirs).looked_up) == (80, 120)
    assert overlap(ours, theirs).is_exact
    assert similarity(ours, theirs) == 80 / 200
    assert similarity(ours, ours) == 1.0
    assert overlap(sketch_keys(keys(0, 0)), ours).share is None


@pytest.mark.parametrize("shared", [0, 6_000, 20_000])
def test_shares_of_large_sets_are_near_the_truth(shared: int):
    """Of sets that do not fit, the estimates lie within three standard errors."""
    ours = sketch_keys(keys(0, 20_000))
    theirs = sketch_keys(keys(20_000 - shared, 60_000 - shared))
    found = overlap(ours, theirs)
    assert found.looked_up > SIZE / 3
    assert not found.is_exact
    assert found.share == pytest.approx(shared / 20_000, abs=1.5 / found.looked_up**0.5)
    together = 60_000 - shared
    assert similarity(ours, theirs) == pytest.approx(shared / together, abs=1.5 / SIZE**0.5)


def test_a_key_counts_as_its_text():
    """12 is 12 as an integer, a float and text, 0012 is another key, and order means nothing."""
    numbers = pd.Series(range(2_000))
    sketch = sketch_keys(numbers)
    assert sketch == sketch_keys(numbers.astype(float)) == sketch_keys(numbers.astype(str)[::-1])
    assert similarity(sketch, sketch_keys(numbers.map("{:08d}".format))) == 0.0


def test_the_sides_of_a_split_are_sampled_alike():
    """The hash is independent of the split's: both sides get a whole sketch of their own."""
    everybody = keys(0, 20_000)
    mask = key_hashes(everybody, "salt") < np.uint64(2**62)
    holdout, training = sketch_keys(everybody[mask]), sketch_keys(everybody[~mask])
    assert similarity(holdout, training) == 0.0
    smallest = [int.from_bytes(_bytes(one)[:8]) / 2**64 for one in (holdout, training)]
    assert max(smallest) < 0.01


def test_a_sketch_is_a_few_kilobytes_and_what_is_none_is_refused():
    """A million keys take no more than a thousand, and an altered sketch is no sketch."""
    assert len(sketch_keys(pd.Series(range(100_000))).to_bytes()) < 3_000
    for broken in ("AAAA", "no base64", "AAAAAAAAAAIAAAAAAAAAAQ=="):
        with pytest.raises(ValidationError):
            KeySketch(keys=2, hashes=broken)


def _bytes(sketch: KeySketch) -> bytes:
    return base64.b64decode(sketch.hashes)
