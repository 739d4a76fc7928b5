"""The forms in which a known secret turns up in text: as it is, and as programs write it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from urllib.parse import quote, quote_plus

from include.retraining.store.secret_names import is_secret_name

MIN_LENGTH = 5
"""As with Airflow's masker: anything shorter would mask words that are no secret."""
MIN_ENCODED_LENGTH = 8
MIN_LINE_LENGTH = 16
# Values of a switch, which are no secrets even under a secret's name.
_SWITCHES = frozenset({"true", "false"})


def forms_of(secret: str) -> set[str]:
    """Return all texts to search for where a secret must not appear.

    As it is, escaped as in JSON, in an address (`%2B`), in hex, and in base64 whatever stands
    before it, as `user:` does in HTTP's basic authentication. Of a secret in several lines each
    line that is long enough; of one that is a JSON object, what is secret in it.
    """
    if len(secret) < MIN_LENGTH or secret.lower() in _SWITCHES:
        return set()
    forms = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    if len(secret) >= MIN_ENCODED_LENGTH:
        forms |= _encoded(secret)
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        forms |= {line for line in lines if len(line) >= MIN_LINE_LENGTH and "-----" not in line}
    for inner in _secrets_in_json(secret):
        forms |= forms_of(inner)
    return forms


def _encoded(secret: str) -> set[str]:
    data = secret.encode()
    by_address = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    forms = {data.hex(), data.hex().upper(), *by_address}
    forms |= {re.sub("%..", lambda match: match[0].lower(), form) for form in by_address}
    for before in range(3):
        # Base64 writes three bytes as four letters: the letters that others share are left off.
        text = b64encode(b"\0" * before + data).decode()
        middle = text[(0, 2, 3)[before] : (len(data) + before) * 8 // 6]
        forms |= {middle, middle.replace("+", "-").replace("/", "_")}
    return forms


def _secrets_in_json(secret: str) -> list[str]:
    """Return what is secret in a JSON object, as in the key of a service account of Google's."""
    if not secret.lstrip().startswith("{"):
        return []
    try:
        inside = json.loads(secret)
    except ValueError:
        return []
    pairs = inside.items() if isinstance(inside, dict) else ()
    return [value for name, value in pairs if isinstance(value, str) and is_secret_name(name)]
