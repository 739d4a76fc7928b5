"""A branch that leads nowhere ends red."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, BaseBranchOperator, BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from include.orchestration.operators.approve_promotion import ApprovePromotionOperator
from include.orchestration.operators.branching import LeadsOn
from tests.support.contexts import MakeContext


class Branch(LeadsOn, BaseBranchOperator):
    """Goes where it was told to."""

    def __init__(self, *, chosen: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chosen = chosen

    def choose_branch(self, context: Context) -> Any:
        """Return what was chosen."""
        return self.chosen


def branch(chosen: Any) -> Branch:
    """Return a branch before two tasks, in a DAG with a third behind them."""
    with DAG("a_dag", schedule=None):
        made = Branch(task_id="branch", chosen=chosen)
        after = [BaseOperator(task_id=name) for name in ("left", "right")]
        made >> after >> BaseOperator(task_id="far")
    return made


@pytest.mark.fault("F16")
@pytest.mark.parametrize("chosen", [None, [], "", "far", ["left", "nowhere"]])
def test_a_branch_that_leads_nowhere_fails(context: MakeContext, chosen: Any) -> None:
    """Nothing, or a task that is not directly behind, is never "skip all and be green" (F16)."""
    with pytest.raises(AirflowFailException, match="must name one or more of left, right"):
        branch(chosen).execute(context())


def test_the_approval_is_checked() -> None:
    """No answer goes around the check."""
    checked: Any = LeadsOn.do_branch
    assert ApprovePromotionOperator.do_branch is checked
