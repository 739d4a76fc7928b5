"""`python -m include.stack.watchdog`: the external watchdog, for ever.

A service of docker-compose.yaml. It runs `python -m include.retraining watch` every five minutes
with a new token for each check, because Airflow's tokens expire after a day.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from include.local_airflow.rest_client import AirflowSession
from include.retraining.exceptions import AirflowUnreachable
from include.retraining.watch.external import TOKEN_VARIABLE, URL_VARIABLE

EVERY_SECONDS = 300.0
TIMEOUT_SECONDS = 240.0
USER = "watchdog"
PASSWORD_VARIABLE = "WATCHDOG_PASSWORD"  # noqa: S105 the variable's name
ALIVE = Path("/tmp/alive")  # noqa: S108 in a container, for its health check
NO_TOKEN = "none"  # noqa: S105 Airflow refuses it, and that is reported


def check(token: str) -> None:
    """Check once; what is wrong is sent to Slack and printed."""
    command = [sys.executable, "-m", "include.retraining", "watch"]
    try:
        ended = subprocess.run(  # noqa: S603 our own program
            command,
            env={**os.environ, TOKEN_VARIABLE: token},
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        print(f"the check was ended: it took longer than {TIMEOUT_SECONDS:g} s", flush=True)
        return
    print("all is well" if ended.returncode == 0 else "something is wrong, see above", flush=True)


def new_token() -> str:
    """Log in and return a token; one that opens nothing when Airflow does not answer.

    The check uses it all the same: it is what reports that Airflow does not answer.
    """
    api = AirflowSession(os.environ[URL_VARIABLE], USER, os.environ[PASSWORD_VARIABLE])
    try:
        return api.token()
    except AirflowUnreachable as error:
        print(error, flush=True)
        return NO_TOKEN
    finally:
        api.close()


def main() -> None:
    """Check until the process is ended.

    It waits first: in a stack that has just started, Airflow's own watch has not run yet.
    """
    while True:
        ALIVE.touch()
        time.sleep(EVERY_SECONDS)
        check(new_token())


if __name__ == "__main__":
    main()
