"""Airflow's simple auth manager, but that it lets only admins see one DAG, as FAB can."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

HIDDEN = "retrain_hidden_model"


class PickyAuthManager(SimpleAuthManager):
    """Hides one DAG from all but admins."""

    def is_authorized_dag(self, *, user: Any, details: Any = None, **more: Any) -> bool:
        """Refuse the hidden DAG to whom it is hidden from."""
        if details is not None and details.id == HIDDEN and user.role != "ADMIN":
            return False
        return super().is_authorized_dag(user=user, details=details, **more)
