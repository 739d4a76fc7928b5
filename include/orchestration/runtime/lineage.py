"""What a task decided on and what came of it, for OpenLineage's events.

Airflow's collector takes it, and its OpenLineage provider puts it into the task's event. Without
that provider it goes nowhere and costs nothing. The provider has names for `file` and `s3`
addresses only: of a store or a delivery on `gs` or `az` its events name nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from airflow.sdk import get_current_context
from airflow.sdk.lineage import get_hook_lineage_collector
from airflow.sdk.plugins_manager import get_hook_lineage_readers_plugins


def report_lineage(*, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Report which data the running task read and which it wrote.

    Args:
        inputs: addresses of folders, in a store or where deliveries lie: what was read, judged or
            promoted.
        outputs: addresses of what came of it.
    """
    # Nobody reads it where OpenLineage is off; even the collector that forgets everything imports
    # each provider's way to name data, and with it boto3: a fifth of a second.
    if not get_hook_lineage_readers_plugins():
        return
    collector = get_hook_lineage_collector()
    reporter: Any = get_current_context()["ti"].task  # as a key only: who reported it
    for address in inputs:
        collector.add_input_asset(reporter, uri=_asset_uri(address))
    for address in outputs:
        collector.add_output_asset(reporter, uri=_asset_uri(address))


def _asset_uri(address: str) -> str:
    """Return an address with a path as OpenLineage writes it: https://openlineage.io/docs/spec/naming."""
    return unquote(address)
