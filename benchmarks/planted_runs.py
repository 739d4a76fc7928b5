"""Finished runs in Airflow's database, copied from real ones: SQL alone, a minute for 100,000."""

from __future__ import annotations

import sqlite3
from pathlib import Path

BATCH = 10_000
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
DATES = ("_date", "_dttm", "_at", "_after", "_decision", "timestamp", "dttm")


def plant_runs(database: Path, dag_ids: list[str], count: int) -> None:
    """Copy the first finished run of each DAG, with its tasks, XComs and events, into the past.

    Args:
        database: Airflow's, of SQLite, while no Airflow uses it.
        dag_ids: DAGs, each with a finished run; the copies are spread evenly over them.
        count: how many runs there are to be.
    """
    with sqlite3.connect(database) as connection:
        for dag_id in dag_ids:
            [(run_id,)] = connection.execute(
                "SELECT run_id FROM dag_run WHERE dag_id = ? AND state = 'success' "
                "ORDER BY id LIMIT 1",
                [dag_id],
            ).fetchall()
            [(base,)] = connection.execute("SELECT max(id) FROM dag_run").fetchall()
            each = count // len(dag_ids)
            where = f"dag_id = '{dag_id}' AND run_id = '{run_id}'"
            for first in range(1, each + 1, BATCH):
                numbers = first, min(first + BATCH - 1, each)
                for table, changed in {
                    "dag_run": {"id": f"{base} + i"},
                    "task_instance": {"id": "lower(hex(randomblob(16)))"},
                    "xcom": {"dag_run_id": f"{base} + i"},
                    "log": {"id": "NULL"},
                }.items():
                    connection.execute(_copies(connection, table, changed, where), numbers)
                connection.commit()
        connection.execute("ANALYZE")


def _copies(connection: sqlite3.Connection, table: str, changed: dict[str, str], where: str) -> str:
    """Return what copies rows once for each number, that many times ten minutes into the past."""
    names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    values = [changed.get(name) or _value(name) for name in names]
    return (
        f"{NUMBERS} INSERT INTO {table} ({', '.join(_quoted(name) for name in names)}) "
        f"SELECT {', '.join(values)} FROM {table}, n WHERE {where}"
    )


def _value(name: str) -> str:
    if name == "run_id":
        return "'planted_' || i"
    if name == "trigger_id":
        return "NULL"
    if name.endswith(DATES):
        past = f"strftime('%Y-%m-%d %H:%M:%f000', {name}, '-' || (i * 10) || ' minutes')"
        return f"CASE WHEN {name} IS NULL THEN NULL ELSE {past} END"
    return _quoted(name)


def _quoted(name: str) -> str:
    return f'"{name}"'
