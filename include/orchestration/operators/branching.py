"""A branch that leads nowhere is an error.

Airflow takes "nothing" for "skip all that follows": the run would end green with every later task
skipped, and with no decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.sdk import Context
from airflow.sdk.bases.branch import BranchMixIn
from airflow.sdk.exceptions import AirflowFailException


class LeadsOn(BranchMixIn):
    """An operator that goes on to at least one of the tasks directly behind it, or fails."""

    downstream_task_ids: set[str]

    def do_branch(
        self, context: Context, branches_to_execute: str | Iterable[str] | None
    ) -> str | Iterable[str] | None:
        """Go on to the named tasks.

        Raises:
            AirflowFailException: when none is named, or one that is not directly behind this task.
        """
        chosen: Any = branches_to_execute
        names = [chosen] if isinstance(chosen, str) else list(chosen or ())
        if not names or not set(names) <= self.downstream_task_ids:
            raise AirflowFailException(
                f"the branch leads to {chosen!r}: it must name one or more of "
                f"{', '.join(sorted(self.downstream_task_ids))}; nothing was decided"
            )
        return super().do_branch(context, names)
