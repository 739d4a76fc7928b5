"""The error for a delivery that breaks its contract: one line, which fits everywhere.

The same line ends the task's log, explains the failed attempt, and is the reason in the decision
record, the message and `why`. So it numbers what is broken and ends between two of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import accumulate

from include.retraining.exceptions import DataRejected
from include.retraining.formatting.text import truncate
from include.retraining.store.redaction import redact

# A reason is cut at 600 characters (`notice.REASON_LENGTH`); the step and the end need some.
LENGTH = 480
MAX_LOGGED = 1_000

log = logging.getLogger(__name__)


def refused(violations: Sequence[str]) -> DataRejected:
    """Return the error about a delivery; where it is long, the task's log has the whole list.

    Args:
        violations: at least one, without any value of a cell.
    """
    shown = [truncate(violation, LENGTH) for violation in violations[:MAX_LOGGED]]
    if len(violations) == 1:
        return DataRejected(f"the data breaks its contract: {shown[0]}")
    numbered = [f"({number}) {violation}" for number, violation in enumerate(shown, start=1)]
    lengths = accumulate(len(f"{one}; ") for one in numbered)
    fitting = max(1, sum(length <= LENGTH for length in lengths))
    text = "; ".join(numbered[:fitting])
    others = len(violations) - fitting
    if others:
        log.info("the data breaks its contract:\n%s", redact("\n".join(numbered)))
        text += f"; and {others:,} more in the task's log"
    return DataRejected(f"the data breaks its contract in {len(violations):,} ways: {text}")
