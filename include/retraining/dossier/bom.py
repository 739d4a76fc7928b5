"""The bill of materials of a champion: CycloneDX 1.6 in JSON, with a model card (an ML-BOM).

The same records give the same bytes: its time and its serial number follow from them. What it says
of scores is in the decision record, which it names with its digest as it names every record.
Source of the format: https://cyclonedx.org/docs/1.6/json/ (ECMA-424).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

from include.retraining.dossier.sources import Source, Sources

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
TASKS = {"binary": "classification", "multiclass": "classification", "regression": "regression"}
NAMESPACE = uuid.UUID("6d1ae5a1-2f7d-5cbb-9d29-6c1fb4e6c6e4")
"""Of serial numbers: they are UUIDs of version 5 over the digests of the records."""
RECORD = "retraining:record"
"""Name of a property that has a record's key in the store and its SHA-256."""


def make_bom(sources: Sources) -> dict[str, Any]:
    """Return the bill of materials as JSON has it: model, data, libraries and records."""
    libraries = list(_libraries(sources.version))
    model, data = _model(sources), _data(sources)
    parts = [*libraries, data]
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": _serial_number(sources),
        "version": 1,
        "metadata": {
            "timestamp": sources.entry.at("created_at"),
            "component": model,
            "properties": [
                _property(RECORD, f"{source.key} sha256:{source.sha256}") for source in sources.used
            ],
        },
        "components": parts,
        "dependencies": [
            {"ref": model["bom-ref"], "dependsOn": [part["bom-ref"] for part in parts]},
            *({"ref": part["bom-ref"]} for part in parts),
        ],
    }


def _serial_number(sources: Sources) -> str:
    digests = " ".join(str(source.sha256) for source in sources.used)
    return f"urn:uuid:{uuid.uuid5(NAMESPACE, digests)}"


def _model(sources: Sources) -> dict[str, Any]:
    version, plan = sources.version, sources.plan
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": sources.model,
        "version": version.at("version"),
        "modelCard": _card(sources),
        "components": [_file(f"model/{file['name']}", file) for _, file in version.items("files")],
        "properties": [
            _property("retraining:fingerprint", version.at("fingerprint")),
            _property("retraining:generation", str(sources.entry.at("generation"))),
        ],
    }
    if plan.value is not None:
        component["description"] = plan.at("config", "description")
        component["supplier"] = {"name": plan.at("config", "owner")}
    return component


def _card(sources: Sources) -> dict[str, Any]:
    version = sources.version
    card: dict[str, Any] = {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": TASKS[version.at("problem")],
            "datasets": [{"ref": "data"}],
            "inputs": list(_inputs(version)),
        },
    }
    metrics = list(_metrics(sources.decision))
    if metrics:
        card["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    purpose = sources.plan.at("config", "description")
    if purpose is not None:
        card["considerations"] = {"useCases": [purpose]}
    return card


def _inputs(version: Source) -> Iterator[dict[str, str]]:
    """Yield the columns that it reads: the format has no place for a name beside the type."""
    for place, name in version.items("features"):
        kind = version.at("feature_types", place)
        yield {"format": name if kind is None else f"{name}: {kind}"}


def _metrics(record: Source) -> Iterator[dict[str, Any]]:
    """Yield what the version scored, and its lead over the champion before and the baseline."""
    for name, value in sorted((record.at("report", "challenger", "metrics") or {}).items()):
        if value is not None:
            yield {"type": name, "value": str(value)}
    leads = {
        "champion before": record.at("report", "champion", "comparison"),
        "naive baseline": record.at("report", "against_baseline"),
    }
    for who, lead in leads.items():
        if lead is not None:
            yield {
                "type": f"{lead['metric']}, lead over the {who}",
                "value": str(lead["difference"]),
                "confidenceInterval": {
                    "lowerBound": str(lead["lower"]),
                    "upperBound": str(lead["upper"]),
                },
            }
    for _, item in record.items("report", "slices"):
        if item["challenger"] is not None:
            yield {
                "type": record.at("report", "metric"),
                "value": str(item["challenger"]),
                "slice": f"{item['column']} = {item['value']}",
            }
    for _, audit in record.items("report", "fairness"):
        for group in audit["groups"]:
            if group["selection_rate"] is not None:
                yield {
                    "type": "selection rate",
                    "value": str(group["selection_rate"]),
                    "slice": f"{audit['attribute']} = {group['group']}",
                }


def _data(sources: Sources) -> dict[str, Any]:
    version = sources.version
    dataset: dict[str, Any] = {"type": "dataset", "name": f"delivery of {version.at('data_date')}"}
    location = sources.plan.at("delivery", "location")
    if location is not None:
        dataset["contents"] = {"url": location}
    return {
        "type": "data",
        "bom-ref": "data",
        "name": f"{sources.model} delivery",
        "version": version.at("data_date"),
        "data": [dataset],
        "components": [_file(f"data/{file['name']}", file) for _, file in version.items("data")],
    }


def _file(ref: str, file: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": ref,
        "name": file["name"],
        "hashes": [{"alg": "SHA-256", "content": file["sha256"]}],
        "properties": [_property("retraining:bytes", str(file["size"]))],
    }


def _libraries(version: Source) -> Iterator[dict[str, Any]]:
    """Yield the libraries that fit and load the model, and the Python that trained it."""
    for _, library in version.items("libraries"):
        # As the specification of package URLs writes names of PyPI.
        name = re.sub(r"[-_.]+", "-", library["name"]).lower()
        yield {
            "type": "library",
            "bom-ref": f"pkg:pypi/{name}@{library['version']}",
            "name": library["name"],
            "version": library["version"],
            "purl": f"pkg:pypi/{name}@{library['version']}",
        }
    python = version.at("code", "python")
    yield {"type": "platform", "bom-ref": "python", "name": "Python", "version": python}


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}
