"""The commands on the models' YAML."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.support.command_line import Run
from tests.support.run_factory import (
    CONFIG,
)


def test_validate_config(run: Run, tmp_path: Path) -> None:
    """`validate-config` checks every model, or the files it is given, and names every mistake."""
    code, out, _ = run("validate-config")
    assert code == 0
    assert "\ninclude/models/loan_approval.yaml: valid\n" in out
    code, out, _ = run("validate-config", "loan_approval")
    assert (code, out) == (0, "include/models/loan_approval.yaml: valid\n")
    code, _, err = run("validate-config", "loan_aproval")
    assert (code, "did you mean 'loan_approval'?" in err) == (1, True)
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(yaml.safe_dump(CONFIG.model_dump(mode="json")))
    assert run("validate-config", str(good))[0] == 0
    bad.write_text("title: x")
    torn = tmp_path / "torn.yaml"
    torn.write_text("title: [")
    code, out, err = run("validate-config", str(torn), str(good), str(bad))
    assert (code, out) == (1, "")
    assert f"{torn}: not readable as YAML" in err
    assert f"{bad}: owner: is missing\n" in err
    assert f"{bad}: gates: is missing\n" in err
    assert json.loads(run("validate-config", str(good), "--json")[1])["valid"] == [str(good)]
