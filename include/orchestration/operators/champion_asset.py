"""The asset that scoring DAGs listen to: its events say that another version serves."""

from __future__ import annotations

from airflow.sdk import Asset


def champion_asset(model: str) -> Asset:
    """Return the asset whose events say that another version of a model serves."""
    return Asset(f"{model}_champion")
