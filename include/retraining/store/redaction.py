"""Removing secrets from text that leaves the process: records, notices, errors."""

from __future__ import annotations

import binascii
import json
import os
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import lru_cache

from include.retraining.formatting.text import visible
from include.retraining.store.secret_forms import forms_of
from include.retraining.store.secret_names import PATTERN, is_secret_name

MASK = "***"
_SHAPES = (
    re.compile(r"(?<=://)[^\s/@]+@"),  # scheme://user:password@host
    re.compile(
        r"(?<=://)[^\s/@:]{1,80}:[^\s@]{0,80}[^\s@\d/][^\s@]{0,80}@(?!sha256:)"
    ),  # the same with a / in it
    # user:password@host without a scheme; an image's digest and an address of mail are none.
    re.compile(
        r"(?<![\w:/.@+-])(?!mailto:)[\w.+-]{1,60}:[^\s:@/]{4,}@(?!sha256:)(?=[\w-]+[.:]\w|localhost)"
    ),
    re.compile(r"https?://hooks\.slack\.com/\S+"),
    re.compile(r"(?<=/services/)T\w+/B\w+/\w+"),  # the same behind another host
    re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"),  # AWS key ids
    re.compile(r"\bxox[a-z]-[\w-]{8,}"),  # Slack tokens
    re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-)\w{16,}"),  # forge tokens
    re.compile(r"\bAIza[\w-]{35}|\bGOCSPX-[\w-]{20,}|\bya29\.[\w-]{20,}"),  # Google's
    re.compile(r"(?<![\w+/])[A-Za-z0-9+/]{86}=="),  # keys of Azure's accounts
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # JSON web tokens
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|$)", re.DOTALL),
    re.compile(r"(?i)(?<=\bbearer )[\w.~+/-]{8,}=*"),
    re.compile(r"(?i)(?<=\bauthorization: basic )\S+"),
    re.compile(r"(?i)(?<=[?&;]sig=)[^\s&'\"]+"),  # signed addresses of Azure
    re.compile(r"(?i)(?:(?<=[?&]X-Amz-Signature=)|(?<=[?&]X-Goog-Signature=))[0-9a-f]+"),
)
_NAMED = re.compile(rf"(?i)(?<![\w-])({PATTERN})(['\"]?\s*[=:]\s*['\"]?)([^\s'\",;&]{{4,}})")
_BASIC = re.compile(r"(?i)(?<=\bbasic )[A-Za-z0-9+/_-]{6,}={0,2}")


def redact(text: str, options: Mapping[str, str] | None = None) -> str:
    """Return ``text`` with everything masked that looks like a secret or is one of ours.

    What cannot be seen is dropped or shown by its number before: no secret hides behind it.
    Masked are credentials in addresses, webhooks, well-known token shapes, what follows a name such
    as `password=`, and the values of the store's options that name a secret.

    Args:
        text: that is to be shown or stored.
        options: of the store (`Store.options`); those of a job's environment are always masked.
    """
    text = mask_own(visible(text), options or {})
    for shape in _SHAPES:
        text = shape.sub(MASK, text)
    text = _BASIC.sub(lambda match: MASK if _is_login(match[0]) else match[0], text)
    return _NAMED.sub(rf"\1\2{MASK}", text)


def holds_secret(text: str) -> bool:
    """Return whether something in ``text`` looks like a secret, or is one of ours."""
    return redact(text) != visible(text)


def mask_own(text: str, options: Mapping[str, str]) -> str:
    """Return ``text`` with our own secrets masked and all else as it is.

    For what a model's code prints, in which much may look like a secret and is none.

    Args:
        text: that is to be shown or stored.
        options: as for `redact`.
    """
    return masking(options)(text)


def masking(options: Mapping[str, str]) -> Callable[[str], str]:
    """Return `mask_own` for the same options and many lines."""
    # Forms ask for the shapes of secrets while a DAG file is parsed, and must not pay for obstore.
    from include.retraining.store.object_store import OPTIONS_VARIABLE

    pattern = _own_pattern(os.environ.get(OPTIONS_VARIABLE, "{}"), tuple(options.items()))
    return (lambda text: text) if pattern is None else (lambda text: pattern.sub(MASK, text))


@lru_cache(maxsize=8)
def _own_pattern(environment: str, given: tuple[tuple[str, str], ...]) -> re.Pattern[str] | None:
    """Return what matches each form of our own secrets, the longest first; None without any."""
    try:
        options = json.loads(environment)
    except ValueError:
        options = {}
    if not isinstance(options, dict):
        options = {}
    forms: set[str] = set()
    for name, value in [*options.items(), *given]:
        if is_secret_name(name):
            forms |= forms_of(str(value))
    longest_first = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if forms else None


def _is_login(text: str) -> bool:
    """Return whether a text is `user:password` as HTTP's basic authentication writes it."""
    try:
        plain = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_").decode()
    except (binascii.Error, UnicodeDecodeError):
        return False
    return ":" in plain and plain.isprintable()
