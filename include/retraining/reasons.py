r"""What a person may type as a reason: one rule for Airflow's forms and for the command line.

Any language's letters and signs, on one line. Left out is what a shell, a template or Slack takes
for a command: a reason is kept for ever, and nobody knows yet where it will be shown.
"""

from __future__ import annotations

import re

REASON_LENGTH = 200
# For a form: Python and the browser read it alike. "(?![\s\S])" is the very end of the text for
# both; "$" would let a last newline pass in Python, and "\Z" is a plain "Z" in the browser.
REASON_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029<>`;\{\}\$\\\|]*(?![\s\S])"
REASON_HINT = f"One line of at most {REASON_LENGTH} characters, without < > ` {{ }} $ \\ | ;"


def refusal(reason: str) -> str | None:
    """Say why a reason cannot be taken; None when it can.

    Stricter than the pattern: a character that cannot be seen is refused too.
    """
    if len(reason) > REASON_LENGTH:
        found = f"this one has {len(reason)}"
    elif not reason.isprintable():
        found = "this one holds a line break or another character that cannot be seen"
    elif not re.fullmatch(REASON_PATTERN, reason):
        found = f"this one is {reason!r}"
    else:
        return None
    return f"{REASON_HINT[0].lower()}{REASON_HINT[1:]}; {found}"
