"""Tests of a model's page in the Airflow UI."""

from __future__ import annotations

import pytest

from include.orchestration.parsing.description import gate_lines, model_page
from include.retraining.config.model import load_model, model_names


@pytest.mark.parametrize("name", model_names())
def test_a_page_says_what_a_person_looks_for(name: str) -> None:
    """Title, owner, flag, files, and every gate of the YAML."""
    config = load_model(name)
    page = model_page(config)
    assert page.startswith(f"# {config.title}\n")
    for text in (config.owner, config.trigger.flag, config.data.location, f"{name}.yaml"):
        assert text in page
    for line in gate_lines(config.gates):
        assert f"- {line}\n" in page


def test_every_gate_is_a_line() -> None:
    """Baseline, minimum, champion, slice, two kinds of fairness, two limits, least rows."""
    gates = load_model("loan_approval").gates
    lines = gate_lines(gates)
    assert "roc auc (higher is better) better than a naive baseline" in lines
    assert "accuracy at least 0.8" in lines
    assert "roc auc at least 0.6 for each `self`" in lines
    assert "selection rates by race: lowest at least 0.8 of the highest" in lines
    assert "10 MB at most" in lines
    rules = sum((
        len(gates.minimum),
        len(gates.slices),
        len(gates.fairness),
        gates.limits.latency_ms_per_1000_rows is not None,
        gates.limits.model_mb is not None,
    ))
    assert len(lines) == rules + 3


def test_an_approval_is_said() -> None:
    """Only the page of a model that asks a person says so, and for how long."""
    config = load_model("loan_approval")
    asking = config.model_copy(update={"approval": "required", "approval_hours": 36.0})
    assert "someone must approve it, with a note, within 36 hours" in model_page(asking)
    assert "Then someone must approve" not in model_page(config)
