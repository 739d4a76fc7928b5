r"""What a reason may contain: one rule for Airflow's forms and for the command line.

Letters and signs of any language, on one line. Excluded is what a shell, a template or Slack would
interpret: a reason is kept for ever and may be shown anywhere. What looks like a secret is refused
too: everyone who may open the run can read its reason.
"""

from __future__ import annotations

import re

from include.retraining.exceptions import RegistryError
from include.retraining.store.redaction import holds_secret

REASON_LENGTH = 200
_NAMES = (
    "[Pp]assword|PASSWORD|[Pp]assphrase|[Ss]ecret|SECRET|[Tt]oken|TOKEN|_KEY|[Aa]pi[_\\-]?[Kk]ey|"
    "[Aa]ccess[_\\-]?[Kk]ey|[Aa]ccount[_\\-]?[Kk]ey|[?&]sig"
)
# What a form can find by itself, before Airflow keeps what was typed. Python and the browser read
# it alike, so no flag, no look behind, and no escape that a browser (`v`) does not know; all of it
# is found by `looks_secret` too.
_SECRETS = (
    r"(?:AKIA|ASIA)[A-Z0-9]{12}",
    r"xox[a-z]-[A-Za-z0-9\-]{8}",
    r"(?:gh[pousr]_|github_pat_|glpat-)[A-Za-z0-9_]{16}",
    r"eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8}",
    r"AIza[A-Za-z0-9_\-]{35}",
    r"hooks\.slack\.com\/",
    r":\/\/[^\s\/@]+@",
    r"-----BEGIN [A-Z ]*PRIVATE KEY",
    r"[Bb]earer [A-Za-z0-9_.~+\/\-]{8}",
    rf"(?:{_NAMES})[\x22\x27]? ?[=:] ?[\x22\x27]?[^\s\x22\x27,&]{{4}}",
)
_ANY_SECRET = "|".join(_SECRETS)
_REFUSED = r"<>`;\{\}\$\\\|"
# "(?![\s\S])" is the very end of the text for both; "$" would accept a last newline in Python,
# and "\Z" is a plain "Z" in the browser.
REASON_PATTERN = (
    rf"^(?![\s\S]*(?:{_ANY_SECRET}))[^\x00-\x1f\x7f-\x9f\u2028\u2029{_REFUSED}]*(?![\s\S])"
)
REASON_HINT = (
    f"One line of at most {REASON_LENGTH} characters, without < > ` {{ }} $ \\ | ; and without "
    "secrets"
)
NO_SECRETS = (
    "this one holds what looks like a secret, and was not kept here: say in words what it is and "
    "where it is kept. If it is one, rotate it: everyone who may open the run can have read it"
)
# A key without a name beside it. Digests are of lower case alone, names have a sign in between.
_KEY = re.compile(
    r"(?<![\w+/-])(?=\S*[A-Z])(?=\S*[a-z])(?=\S*[0-9])[A-Za-z0-9+/]{32,}={0,2}(?![\w+/-])"
)


def refusal(reason: str) -> str | None:
    """Say why a reason cannot be taken, without repeating it; None when it can.

    Stricter than the pattern: a character that cannot be seen is refused too, and each secret that
    is masked elsewhere.
    """
    refused = sorted(set(re.findall(rf"[{_REFUSED}]", reason)))
    if len(reason) > REASON_LENGTH:
        problem = f"this one has {len(reason)}"
    elif looks_secret(reason):
        problem = NO_SECRETS
    elif not reason.isprintable():
        problem = "this one holds a line break or another character that cannot be seen"
    elif refused:
        problem = f"this one holds {' '.join(refused)}"
    else:
        return None
    return f"{REASON_HINT[0].lower()}{REASON_HINT[1:]}; {problem}"


def looks_secret(text: str) -> bool:
    """Return whether a user's text holds what looks like a secret."""
    return holds_secret(text) or re.search(_ANY_SECRET, text) is not None or bool(_KEY.search(text))


def checked_reason(actor: str, reason: str) -> str:
    """Return the reason for a manual entry, if it is acceptable.

    The log is never edited: what gets into it stays, so what looks like a secret is refused.

    Raises:
        RegistryError: when actor or reason are missing or not allowed, saying what is.
    """
    if not actor.strip() or not reason.strip():
        raise RegistryError("a manual entry needs an actor and a reason")
    if not actor.isprintable():
        raise RegistryError(f"the actor is no name: {actor!r}")
    problem = refusal(reason)
    if problem:
        raise RegistryError(f"a reason is {problem}")
    return reason
