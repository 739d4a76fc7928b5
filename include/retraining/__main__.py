"""The command line: what a job runs, and what a user asks.

`python -m include.retraining train --run URI --attempt WORD` is a job; it may name several steps.
Everything else reads or changes a store; `--json` prints what a machine can read. Each command
imports only what it needs: a job, which pays for every import, neither typer nor rich.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

from include.retraining.config.step_names import JOB_STEPS
from include.retraining.exceptions import RetrainingError
from include.retraining.runs.exhaustion import exhausted
from include.retraining.runs.exit_protocol import EXIT_RETRY, exit_code
from include.retraining.store.redaction import redact


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    0 done, 1 refused or failed, 2 wrong usage, 75 failed and another try may succeed; of `try`, 3
    and 4 for a model that a gate refused, or that cannot be judged.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words and words[0] in JOB_STEPS:
        return _run_job(words)
    from include.retraining.cli.app import run

    try:
        return run(words)
    except RetrainingError as error:
        print(redact(str(error)), file=sys.stderr)
        return exit_code(is_permanent=error.is_permanent)
    except Exception as error:
        ran_out = exhausted(error)
        if ran_out is None:
            raise
        print(ran_out.message, file=sys.stderr)
        return EXIT_RETRY


def _run_job(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m include.retraining")
    parser.add_argument("steps", nargs="+", choices=JOB_STEPS, metavar="STEP")
    parser.add_argument("--run", required=True, metavar="URI", help="STORE/models/NAME/runs/RUN")
    parser.add_argument("--attempt", default="by-hand", help="a unique id for each attempt")
    parser.add_argument("--claim", type=int, metavar="N", help="of a job that runs elsewhere")
    parser.add_argument(
        "--watch-parent", action="store_true", help="end when standard input is closed"
    )
    chosen = parser.parse_args(words)
    # Progress goes to the task's log, of which this process's output becomes a part.
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    logging.getLogger("include").setLevel(logging.INFO)
    from include.retraining.runs.process import die_with_parent
    from include.retraining.steps.runner import run_steps

    if chosen.watch_parent:
        die_with_parent()
    return run_steps(chosen.steps, chosen.run, chosen.attempt, chosen.claim)


if __name__ == "__main__":
    sys.exit(main())
