"""The reference of the configuration says what the code says."""

from __future__ import annotations

import pytest
import yaml

from include.retraining.config import parse_model
from tests.docs.configuration import EXAMPLES, MODEL, PAGE, definitions, places, render, shown


def test_the_page_is_in_step() -> None:
    """The page is the one that the code makes."""
    stored = PAGE.read_text(encoding="utf-8")
    assert stored == render(), "run `python -m tests.docs.configuration`"


@pytest.mark.parametrize("text", EXAMPLES.read_text(encoding="utf-8").split("\n---\n"))
def test_an_example_is_a_model(text: str) -> None:
    """Whoever copies an example copies something that is accepted."""
    parse_model(text, where=EXAMPLES.name)


def test_every_field_has_an_example() -> None:
    """No field is left to the imagination."""
    known = definitions()
    found = {
        pair
        for document in yaml.safe_load_all(EXAMPLES.read_text(encoding="utf-8"))
        for pair in shown(MODEL, document, known)
    }
    declared = {(name, field) for name in places(known) for field in known[name]["properties"]}
    assert declared - found == set()
