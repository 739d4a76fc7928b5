"""The type of the fixture that makes what Airflow hands to a task or a callback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MakeContext = Callable[..., dict[str, Any]]
"""`context(task_id=…, run_id=…, …)`, see `tests/include/orchestration/conftest.py`."""
