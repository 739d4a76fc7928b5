"""`python -m include.local_airflow`: Airflow here, with the sample models (`make run`)."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.text import Text

from include.local_airflow.demo.run import run_demo
from include.local_airflow.errors import LocalAirflowError
from include.retraining.exceptions import RetrainingError

ROOT = Path(__file__).resolve().parents[2]
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked this process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _port(text: str) -> int:
    """Read a port's number.

    Raises:
        argparse.ArgumentTypeError: naming what is allowed.
    """
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; allowed: 1 to 65535")
    return int(text)


def main() -> int:
    """Run the demonstration and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m include.local_airflow", description=__doc__)
    parser.add_argument("--port", type=_port, default=8080, help="of Airflow's UI and API")
    parser.add_argument("--once", action="store_true", help="end after the decisions")
    arguments = parser.parse_args()
    for number in ENDING_SIGNALS:
        signal.signal(number, _stop)
    console = Console(soft_wrap=False)
    try:
        return run_demo(ROOT, port=arguments.port, once=arguments.once, console=console)
    except Interrupted as stopped:
        # Ctrl-C is the usual way to end it; any other signal is reported to the starting process.
        return 0 if stopped.number == signal.SIGINT and not arguments.once else 128 + stopped.number
    except (LocalAirflowError, RetrainingError) as error:
        Console(stderr=True, soft_wrap=True).print(Text(str(error), "red"))
        return 1


def _stop(number: int, _frame: FrameType | None) -> None:
    """End in an orderly way, once: a second Ctrl-C must not leave half of Airflow behind."""
    for other in ENDING_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Interrupted(number)


if __name__ == "__main__":
    sys.exit(main())
