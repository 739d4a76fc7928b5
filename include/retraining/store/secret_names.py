"""Which names are names of secrets: the one list, for settings and for text that is shown."""

from __future__ import annotations

import re

WORDS = ("secret", "passwd", "password", "passphrase", "token", "credential", "signature")
"""A name with one of these in it is a secret's, wherever it stands."""
SHORT_WORDS = ("sas", "sig")
"""As `WORDS`, where they stand alone: `SAS`, `AZURE_STORAGE_SAS_KEY`, and no `message`."""
KEYS = ("account", "access", "api", "encryption", "private", "shared", "signing", "storage")
"""Before `key` they make a secret's name; a key alone may as well be the key of a row."""

# Names are bounded, or a long line of words would be looked through for minutes.
_MORE = r"[\w-]{0,60}"
_SHORT = rf"(?:{_MORE}[_-])?(?:{'|'.join(SHORT_WORDS)})(?:[_-]{_MORE})?"
PATTERN = rf"(?:{_MORE}(?:{'|'.join(WORDS)}|(?:{'|'.join(KEYS)})[_-]?key){_MORE}|{_SHORT})"
"""Matches a secret's name within any text, in upper or lower case."""


def is_secret_name(name: str) -> bool:
    """Return whether a setting of this name holds a secret.

    Among settings any key is one: no setting of a store's is the key of a row.
    """
    return re.fullmatch(PATTERN, name, re.IGNORECASE) is not None or "key" in name.lower()
