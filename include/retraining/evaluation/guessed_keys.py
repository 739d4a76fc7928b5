"""Keys of CSV as they once were guessed: numbers, in a file whose keys all looked like numbers.

"0012" was the key 12 then and is the text as it stands now, most likely on the other side of the
split. A version whose record does not say how its key was read (`SplitUsed.key_read`) may so have
been trained on rows that are the holdout now. Plain whole numbers and plain text are the same keys
both ways, and Parquet was never guessed.
"""

from __future__ import annotations

import csv
import io

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.retraining.data.producer_manifest import is_csv_name
from include.retraining.data.split import WHOLE_NUMBER, key_texts
from include.retraining.evaluation.holdout import HoldoutRows
from include.retraining.registry.versions import VersionManifest

NUMBER = r"^\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*$"
MOSTLY = 0.5
"""Where more of the keys than this look like numbers, a delivery of before may have held numbers
only. Ids of letters and digits, of which a few look like numbers, were text then as well."""


def guessed_otherwise(manifest: VersionManifest, holdout: HoldoutRows) -> str | None:
    """Return why a version of before may have been trained on rows of a holdout, or None."""
    split = manifest.split
    if split.by != "key" or holdout.split.by != "key" or split.key_read is not None:
        return None
    if not any(is_csv_name(file.name) for file in manifest.data):
        return None
    keys = pd.Series(holdout.keys)
    # A time was the text of its file, which is lost.
    others = holdout.rows if holdout.split.key_read == "time" else _other_keys(key_texts(keys))
    if not others:
        return None
    return (
        f"it was trained before versions noted how their key is read: {others:,} of the "
        f"{holdout.rows:,} keys here were read as other keys then (0012 as 12), so that it may "
        "know these rows; someone may promote the new version: `promote --unjudged-champion`"
    )


def _other_keys(texts: pa.LargeStringArray) -> int:
    """Return how many keys are not what a guess of their type would have made of them."""
    is_plain = pc.match_substring_regex(texts, WHOLE_NUMBER)
    is_number = pc.or_(is_plain, pc.match_substring_regex(texts, NUMBER))
    if is_number.true_count <= MOSTLY * len(texts):
        return 0
    unsure = texts.filter(pc.and_not(is_number, is_plain))
    if not len(unsure):
        return 0
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([["key"], *zip(unsure.to_pylist())])
    file.seek(0)
    guessed = pd.read_csv(file, low_memory=False)["key"]  # as every delivery was read
    return int(pc.sum(pc.not_equal(key_texts(guessed), unsure)).as_py())
