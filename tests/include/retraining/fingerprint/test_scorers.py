"""The scorers of a model's own metrics judge it, and do not train it."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.retraining.exceptions import CodeChanged
from include.retraining.fingerprint.digests import (
    check_same_code,
    check_same_judge,
    current_code,
    judging_digest,
    training_digest,
)
from tests.support import apples

pytest_plugins = ("tests.support.apples_fixtures",)


@pytest.fixture
def costs(apples_file: Path) -> Path:
    """A file of scorers beside the apples model, which does not import it."""
    file = apples_file.with_name("apple_costs.py")
    file.write_text("profit = 1\n")
    return file


def test_a_changed_scorer_judges_again_and_trains_nothing(costs: Path) -> None:
    """So it is for the models that name its file; the others are judged by what they were."""
    without, judged = judging_digest(), judging_digest(["apple_costs"])
    trained = training_digest("apples")
    assert without != judged
    costs.write_text("# A note.\nprofit = 1\n")
    assert judging_digest(["apple_costs"]) == judged
    costs.write_text("profit = 2\n")
    assert judging_digest(["apple_costs"]) != judged
    assert (judging_digest(), training_digest("apples")) == (without, trained)


def test_what_a_scorer_imports_beside_it_judges_too(costs: Path) -> None:
    """A table of costs in a file of its own is part of the judgement."""
    table = costs.with_name("apple_prices.py")
    table.write_text("PRICE = 3\n")
    costs.write_text("from include.models.apple_prices import PRICE as profit\n")
    judged = judging_digest(["apple_costs"])
    table.write_text("PRICE = 4\n")
    assert judging_digest(["apple_costs"]) != judged


def test_a_job_and_the_gate_refuse_another_scorer(costs: Path) -> None:
    """What was planned names the files, so that both know which to compare."""
    planned = current_code("apples", scorers=["apple_costs"])
    plain = current_code("apples")
    assert planned.scorers == ("apple_costs",)
    check_same_code(planned, "apples")
    check_same_judge(planned.model_copy(update={"core_digest": "0"}))
    costs.write_text("profit = 2\n")
    check_same_code(plain, "apples")
    with pytest.raises(CodeChanged, match=r"apples\.py or include/models/apple_costs\.py ch"):
        check_same_code(planned, "apples")
    with pytest.raises(CodeChanged, match="the code that judges changed"):
        check_same_judge(planned.model_copy(update={"core_digest": "0"}))


def test_a_scorer_in_the_models_own_file_is_both(apples_file: Path) -> None:
    """There a change of it trains the model again as well: a file of its own spares that."""
    trained, judged = training_digest("apples"), judging_digest([apples.NAME])
    apples_file.write_text(f"{apples.CODE}\nprofit = 1\n")
    assert training_digest("apples") != trained
    assert judging_digest([apples.NAME]) != judged
