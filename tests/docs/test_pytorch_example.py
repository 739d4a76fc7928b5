"""The example in PyTorch of docs/any-language.md. Its training runs where torch is installed."""

from __future__ import annotations

import ast
import importlib.util
import io
import os
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from include.local_airflow.demo.samples import loan_approval
from include.models.loan_approval import FEATURES
from include.retraining.config.model import parse_model
from include.retraining.config.sections import Commands
from include.retraining.training.command_model import TrainingTask, started, train_model
from tests.docs.markdown_files import ROOT

EXAMPLE = ROOT / "docs" / "example" / "pytorch"
SCRIPTS = {
    path.name: path.read_bytes() for path in sorted((EXAMPLE / "loan_approval_torch").glob("*.py"))
}
HERE = sys.executable if importlib.util.find_spec("torch") else None
PYTHON = os.environ.get("TORCH_PYTHON", HERE)


def test_the_example_is_a_valid_model():
    """Its YAML is one, its commands name its scripts, and they are Python."""
    text = (EXAMPLE / "loan_approval_torch.yaml").read_text(encoding="utf-8")
    commands = parse_model(text, where="loan_approval_torch.yaml").training.commands
    assert commands is not None
    assert {commands.train[-1], commands.predict[-1]} <= set(SCRIPTS)
    assert (commands.format, commands.tables) == (2, "arrow")
    for name, script in SCRIPTS.items():
        ast.parse(script, filename=name)
    ast.parse((EXAMPLE / "loan_approval_torch.py").read_text(encoding="utf-8"))


@pytest.mark.skipif(
    PYTHON is None, reason="torch is not installed (TORCH_PYTHON names a Python that has it)"
)
def test_the_network_learns_and_answers_the_same_again():
    """It ranks applications far better than chance, and two trainings predict the same."""
    assert PYTHON is not None
    commands = Commands(
        train=(PYTHON, "train.py"), predict=(PYTHON, "predict.py"), format=2, tables="arrow"
    )
    frame = pd.read_csv(io.BytesIO(loan_approval()))
    is_holdout = frame.index % 3 == 0
    train, holdout = frame[~is_holdout], frame[is_holdout]
    task = TrainingTask(
        problem="binary",
        rows=train[list(FEATURES)],
        label="approve",
        labels=train["approve"].to_numpy(),
        classes=(0, 1),
        positive=1,
        seed=20261124,
    )
    found = []
    for _ in range(2):
        model = train_model(task, commands, SCRIPTS)
        assert list(model.files) == ["network.safetensors"]
        with started(model) as running:
            found += [running.predictions(holdout), running.predictions(holdout)]
    chances = [answers.probabilities[:, 1] for answers in found]
    assert roc_auc_score(holdout["approve"], chances[0]) > 0.75
    assert all(np.array_equal(chances[0], others) for others in chances)
