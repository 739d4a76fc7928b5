"""The reference of the configuration says what the code says."""

from __future__ import annotations

import re

import pytest

from include.retraining.config.base import Section
from include.retraining.config.batch_compute import BatchCompute
from include.retraining.config.kubernetes_compute import KubernetesCompute
from include.retraining.config.lambda_compute import LambdaCompute
from include.retraining.config.model import parse_model
from include.retraining.config.yaml_file import read_mapping
from tests.docs.configuration import EXAMPLES, MODEL, PAGE, definitions, places, render, shown
from tests.docs.markdown_files import ROOT


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
        for text in EXAMPLES.read_text(encoding="utf-8").split("\n---\n")
        for pair in shown(MODEL, read_mapping(text, EXAMPLES.name), known)
    }
    declared = {(name, field) for name in places(known) for field in known[name]["properties"]}
    assert declared - found == set()


@pytest.mark.parametrize(
    ("heading", "section"),
    [
        ("AWS Batch", BatchCompute),
        ("Kubernetes", KubernetesCompute),
        ("AWS Lambda", LambdaCompute),
    ],
)
def test_the_page_on_compute_says_the_same(heading: str, section: type[Section]) -> None:
    """The shorter tables of docs/compute.md name fields that are there, with their defaults."""
    page = (ROOT / "docs" / "compute.md").read_text(encoding="utf-8")
    table = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.*?) \|", table, re.MULTILINE)
    assert len(rows) >= 5
    for names, told in rows:
        for name in re.findall(r"`(\w+)`", names):
            default = section.model_fields[name].default
            if re.fullmatch(r"`?[\w.]+`?", told):  # others are words, or there is none
                assert told.strip("`") == str(default), name
