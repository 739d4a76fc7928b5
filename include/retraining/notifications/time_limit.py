"""One time limit for a request to another system, whatever its client promises."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from include.retraining.exceptions import NotSent
from include.retraining.formatting.text import truncate
from include.retraining.store.redaction import redact

Answer = TypeVar("Answer")

TIMEOUT_SECONDS = 10.0
"""How long sending a message may take in all, another try included."""


def within(end: float, ask: Callable[[], Answer], *, what: str = "Slack") -> Answer:
    """Return the other side's answer, unless the time is up.

    In its own thread: a client's timeout is for each read, and a trickle has many.

    Args:
        end: by when (`time.monotonic`).
        ask: sends the request and waits.
        what: who is asked, for the error.

    Raises:
        NotSent: when the time is up, or ``ask`` raised; one that it raised is raised as it is.
    """
    answers: list[Answer] = []
    problems: list[Exception] = []

    def work() -> None:
        try:
            answers.append(ask())
        except Exception as error:  # noqa: BLE001 it is reported below
            problems.append(error)

    thread = threading.Thread(target=work, name="slack", daemon=True)
    thread.start()
    thread.join(max(0.0, end - time.monotonic()))
    if answers:
        return answers[0]
    if not problems:
        raise NotSent(f"{what} did not answer in time; whether the message arrived is unknown")
    problem = problems[0]
    if isinstance(problem, NotSent):
        raise problem
    text = truncate(redact(str(problem)), 200)
    raise NotSent(f"{type(problem).__name__}: {text}") from None
