"""Who the reader is, and what Airflow permits them to see.

The one place that uses Airflow's own security: its module is no public interface, so an upgrade
shows here and in this file's tests.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, get_user
from airflow.models.dag import DagModel

__all__ = ["GetUserDep", "get_user", "may_trigger", "readable"]


def readable(user: BaseUser, dag_ids: Iterable[str]) -> set[str]:
    """Return those of some DAGs that a user may read, whether Airflow has them now or not."""
    names = list(dag_ids)
    teams = DagModel.get_dag_id_to_team_name_mapping(names)
    by_team: defaultdict[str | None, set[str]] = defaultdict(set)
    for name in names:
        by_team[teams.get(name)].add(name)
    allowed: set[str] = set()
    for team, of_team in by_team.items():
        allowed |= get_auth_manager().filter_authorized_dag_ids(
            dag_ids=of_team, user=user, method="GET", team_name=team
        )
    return allowed


def may_trigger(user: BaseUser, dag_id: str) -> bool:
    """Return whether a user may start a run of a DAG."""
    team = DagModel.get_team_name(dag_id)
    return get_auth_manager().is_authorized_dag(
        method="POST",
        access_entity=DagAccessEntity.RUN,
        details=DagDetails(id=dag_id, team_name=team),
        user=user,
    )
