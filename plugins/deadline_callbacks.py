"""What Airflow calls when a run has not ended by its deadline, in the triggerer.

Light at import: Airflow loads every plugin in each of its processes, tasks included. The triggerer
knows no bundle, so `include` is taken from beside this folder, and only once a deadline has passed.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


async def tell_late(context: dict[str, Any], deadline: str) -> str:
    """Notify that a run is late; return what was done.

    Args:
        context: Airflow's: `dag_run` as the REST API describes it, and `deadline`.
        deadline: as written in the model's YAML.
    """
    # In a thread: the store, Slack and Airflow are asked one after the other, and every trigger
    # of this process would wait meanwhile.
    return await asyncio.to_thread(_tell, context["dag_run"], deadline)


def _tell(dag_run: dict[str, Any], deadline: str) -> str:
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    from include.orchestration.callbacks.deadline import tell_late as notify_late

    return notify_late(dag_run, deadline)
