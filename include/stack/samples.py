"""`python -m include.stack.samples`: land the sample data and start both models.

The service `samples` of docker-compose.yaml, in its profile `demo`. A model that was ever decided
on is left alone.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime

from rich.console import Console

from include.local_airflow.demo import samples
from include.local_airflow.demo.console import show_decision
from include.local_airflow.errors import LocalAirflowError, TookTooLong
from include.local_airflow.rest_client import RUN_ENDED, AirflowSession, NotThere
from include.retraining.config.model import load_model
from include.retraining.decisions import records
from include.retraining.exceptions import AirflowUnreachable, RetrainingError
from include.retraining.store import marker as store_marker
from include.retraining.store.object_store import Store
from include.retraining.watch.external import URL_VARIABLE

PARSE_SECONDS = 300.0
RUN_SECONDS = 1800.0
PAUSE_SECONDS = 2.0


def start(api: AirflowSession, store: Store) -> dict[str, str]:
    """Land a delivery for each sample model that nothing was decided on yet, and start its DAG.

    Returns:
        The id of the run by model.
    """
    runs = {}
    for model in samples.SAMPLES:
        if next(iter(records.decisions(store, model, limit=1)), None) is not None:
            continue
        dag_id = load_model(model).dag_id
        samples.land(store, model)
        # Started first and unpaused second, so that no scheduled run takes the flag before it.
        runs[model] = _trigger(api, dag_id)
        api.set_paused(dag_id, is_paused=False)
    return runs


def _trigger(api: AirflowSession, dag_id: str) -> str:
    """Start a run as soon as the DAG can be run: Airflow knows of it a moment earlier.

    Raises:
        TookTooLong: when that takes too long.
    """
    deadline = time.monotonic() + PARSE_SECONDS
    while True:
        try:
            return api.trigger(dag_id, run_id=f"samples_{datetime.now(UTC):%Y%m%dT%H%M%S}")
        except NotThere as error:
            if time.monotonic() > deadline:
                raise TookTooLong(f"no DAG {dag_id} after {PARSE_SECONDS:g} s") from error
        time.sleep(PAUSE_SECONDS)


def follow(api: AirflowSession, store: Store, runs: dict[str, str], console: Console) -> None:
    """Wait for the runs' ends and print what was decided.

    Raises:
        TookTooLong: naming the runs that have not ended.
    """
    deadline = time.monotonic() + RUN_SECONDS
    waiting = dict(runs)
    while waiting:
        if time.monotonic() > deadline:
            raise TookTooLong(f"not ended after {RUN_SECONDS:g} s: {', '.join(waiting)}")
        time.sleep(PAUSE_SECONDS)
        for model, run_id in list(waiting.items()):
            dag_id = load_model(model).dag_id
            try:
                state = api.run(dag_id, run_id)["state"]
            except AirflowUnreachable as error:  # a busy host answers late, and the run continues
                print(error, file=sys.stderr)
                continue
            if state not in RUN_ENDED:
                continue
            del waiting[model]
            for record in records.decisions(store, model, limit=20):
                if record.run_id == run_id:
                    public_url = os.environ["PUBLIC_URL"]
                    show_decision(console, record, public_url, lambda key: f"{store.uri}/{key}")


def main() -> int:
    """Start the models, follow them and return the exit code."""
    api = AirflowSession(os.environ[URL_VARIABLE], "admin", os.environ["ADMIN_PASSWORD"])
    try:
        store = store_marker.open_store()
        follow(api, store, start(api, store), Console(width=100))
    except (LocalAirflowError, RetrainingError) as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        api.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
