"""The bill of materials of a champion keeps the format, and says what the records say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from include.retraining.decisions.record_files import decision_keys
from include.retraining.documents import sha256_of
from include.retraining.dossier.bom import make_bom
from include.retraining.dossier.sources import read_sources
from include.retraining.store.object_store import Store
from tests.support.run_factory import MODEL, version_name

ESSENTIALS = Path(__file__).with_name("cyclonedx-1.6-essentials.json")


@pytest.fixture
def bom(store: Store) -> dict[str, Any]:
    """The bill of materials of the champion."""
    return make_bom(read_sources(store, MODEL))


def problems(bom: dict[str, Any]) -> list[str]:
    """Return what the format's essentials refuse."""
    schema = json.loads(ESSENTIALS.read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return [error.message for error in Draft7Validator(schema).iter_errors(bom)]


def references(part: Any) -> Iterator[str]:
    """Yield every `bom-ref` below a part."""
    if isinstance(part, dict):
        if "bom-ref" in part:
            yield part["bom-ref"]
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            yield from references(item)


def test_it_keeps_the_format(bom: dict[str, Any]) -> None:
    """CycloneDX 1.6 knows every part of it, and a wrong kind of component is refused."""
    assert problems(bom) == []
    bom["metadata"]["component"]["type"] = "model"
    assert len(problems(bom)) == 1


def test_each_reference_is_there_once(bom: dict[str, Any]) -> None:
    """No two parts have a name in common, and dependencies and data sets name parts."""
    names = list(references(bom))
    assert len(names) == len(set(names))
    named = {one["ref"] for one in bom["dependencies"]}
    named |= {ref for one in bom["dependencies"] for ref in one.get("dependsOn", ())}
    card = bom["metadata"]["component"]["modelCard"]
    named |= {one["ref"] for one in card["modelParameters"]["datasets"]}
    assert named <= set(names)


def test_it_names_records_that_are_there(store: Store, bom: dict[str, Any]) -> None:
    """Each property of a record has its key and the digest of its bytes."""
    records = [one["value"].split(" sha256:") for one in bom["metadata"]["properties"]]
    assert len(records) >= 6
    assert all(sha256_of(store.read(key)) == digest for key, digest in records)


def test_it_says_what_the_version_scored(store: Store, bom: dict[str, Any]) -> None:
    """Its numbers are those of the decision record, and its version the champion's."""
    model = bom["metadata"]["component"]
    report = json.loads(store.read(decision_keys(store, MODEL)[0]))["report"]
    metrics = model["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    assert model["version"] == version_name(2)
    assert {
        "type": "accuracy",
        "value": str(report["challenger"]["metrics"]["accuracy"]),
    } in metrics
    lead = next(one for one in metrics if one["type"] == "accuracy, lead over the champion before")
    assert lead["confidenceInterval"]["lowerBound"] == str(
        report["champion"]["comparison"]["lower"]
    )


def test_its_inputs_are_the_columns_that_the_version_reads(store: Store) -> None:
    """Each has its type behind its name, where the version's manifest knows it."""
    sources = read_sources(store, MODEL)
    features, kinds = sources.version.at("features"), sources.version.at("feature_types")
    inputs = make_bom(sources)["metadata"]["component"]["modelCard"]["modelParameters"]["inputs"]
    pairs = zip(features, kinds or [None] * len(features), strict=True)
    assert inputs == [{"format": f"{name}: {kind}" if kind else name} for name, kind in pairs]


def test_the_same_records_give_the_same_bytes(store: Store, bom: dict[str, Any]) -> None:
    """Neither its time nor its serial number is of the moment that it is made in."""
    assert make_bom(read_sources(store, MODEL)) == bom


def test_without_the_decision_record_it_has_no_scores(store: Store) -> None:
    """What was lost is left out, and the rest keeps the format."""
    store.delete(decision_keys(store, MODEL)[0])
    bom = make_bom(read_sources(store, MODEL))
    assert problems(bom) == []
    assert "quantitativeAnalysis" not in bom["metadata"]["component"]["modelCard"]
