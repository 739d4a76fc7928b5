"""What the pages on a model's libraries and metrics show is accepted as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from include.retraining.config.scorers import load_scorers
from include.retraining.evaluation.own_scores import own_score
from include.retraining.training.predictions import Sample
from tests.docs.markdown_files import ROOT
from tests.support import apples

pytest_plugins = ("tests.support.apples_fixtures",)


def blocks(page: str, language: str) -> list[str]:
    """Return the code of one language on a page of docs/."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def fields(block: str) -> dict[str, Any]:
    """Return the fields of a section, by dotted name."""
    return {
        f"{section}.{name}": value
        for section, values in yaml.safe_load(block).items()
        for name, value in values.items()
    }


def test_the_extra_that_is_shown_is_accepted() -> None:
    """Its name, and the types that are to be trusted."""
    (block,) = blocks("extras.md", "yaml")
    assert apples.config(fields(block)).training.extras == ("lightgbm",)


def test_the_metric_that_is_shown_counts_what_it_says(apples_file: Path) -> None:
    """A loan that fails costs five times a customer who leaves; less is better."""
    (code,), (block,) = blocks("own-metrics.md", "python"), blocks("own-metrics.md", "yaml")
    apples_file.with_name("lending_costs.py").write_text(code, encoding="utf-8")
    try:
        scorers = load_scorers(apples.config(fields(block)))
    finally:
        sys.modules.pop("include.models.lending_costs", None)
    labels, answers = np.array([0, 0, 1, 1], np.int8), np.array([1, 0, 0, 1], np.int8)
    assert own_score(scorers["neg_cost"], Sample("binary", labels, answers, None)) == (-1.5, None)
