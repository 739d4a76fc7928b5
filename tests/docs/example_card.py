"""docs/example/card.md: the model card of the shipped sample, as its first run writes it.

`python -m tests.docs.example_card` makes the card and its pictures anew: the pipeline's steps in
this process, on the loan applications, with a store in a temporary folder.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from include.retraining.model_card.render import write_card
from include.retraining.store.marker import initialise
from tests.docs.markdown_files import ROOT
from tests.support.promoted_samples import judge_sample

FOLDER = ROOT / "docs" / "example"
MODEL = "loan_approval"


def make_card() -> dict[str, bytes]:
    """Return the card and its pictures by their names."""
    with tempfile.TemporaryDirectory(prefix="example-card-") as folder:
        store = initialise(f"file://{folder}/store")
        sample = judge_sample(store, MODEL)
        write_card(store, sample.paths, sample.manifest, sample.verdict)
        card = store.objects(sample.paths.card)
        made = {Path(info.key).name: store.read(info.key) for info in card}
    # Where the store lay for a moment is nobody's business.
    made["card.md"] = made["card.md"].replace(f"file://{folder}/".encode(), "file:///…/".encode())
    return made


def words(card: str) -> str:
    """Return a card without what differs from machine to machine: digests and numbers."""
    text = re.sub(r"\b[0-9a-f]{8,}\b", "#", card)
    return re.sub(r"[+-]?[0-9][0-9.,]*", "#", text)


def write(made: Mapping[str, bytes]) -> None:
    """Put a card and its pictures in place of those that are there."""
    for old in FOLDER.glob("*.png"):
        old.unlink()
    for name, content in made.items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    write(make_card())
