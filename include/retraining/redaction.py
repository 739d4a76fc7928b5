"""Removing secrets from what people read: records, notices, errors."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping

from include.retraining.storage import OPTIONS_VARIABLE

MASK = "***"
_SENSITIVE_NAME = (
    r"[\w-]*(?:secret|passw(?:or)?d|token|api[_-]?key|access[_-]?key|credential)[\w-]*"
)
_SHAPES = (
    re.compile(r"(?<=://)[^\s/@]+@"),  # scheme://user:password@host
    re.compile(r"https?://hooks\.slack\.com/\S+"),
    re.compile(r"(?<=/services/)T\w+/B\w+/\w+"),  # the same behind another host
    re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"),  # AWS key ids
    re.compile(r"\bxox[a-z]-[\w-]{8,}"),  # Slack tokens
    re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-)\w{16,}"),  # forge tokens
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # JSON web tokens
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|$)", re.DOTALL),
    re.compile(r"(?i)(?<=\bbearer )[\w.~+/-]{8,}=*"),
    re.compile(r"(?i)(?<=[?&]X-Amz-Signature=)[0-9a-f]+"),
)
_NAMED = re.compile(rf"(?i)\b({_SENSITIVE_NAME})(['\"]?\s*[=:]\s*['\"]?)([^\s'\",;&]{{4,}})")


def redact(text: str, options: Mapping[str, str] | None = None) -> str:
    """Return ``text`` with everything masked that looks like a secret or is one of ours.

    Masked are credentials in addresses, webhooks, well-known token shapes, what follows a name such
    as `password=`, and the values of the store's options that name a secret.

    Args:
        text: what people will read.
        options: of the store (`Store.options`); those of a job's environment are always masked.
    """
    text = mask_own(text, options or {})
    for shape in _SHAPES:
        text = shape.sub(MASK, text)
    return _NAMED.sub(rf"\1\2{MASK}", text)


def mask_own(text: str, options: Mapping[str, str]) -> str:
    """Return ``text`` with our own secrets masked and all else as it is.

    For what a model's code prints, in which much may look like a secret and is none.

    Args:
        text: what people will read.
        options: as for `redact`.
    """
    for value in _own_secrets(options):
        text = text.replace(value, MASK)
    return text


def _own_secrets(given: Mapping[str, str]) -> list[str]:
    """Return the secret values among the store's options, longest first."""
    try:
        options = json.loads(os.environ.get(OPTIONS_VARIABLE, "{}"))
    except ValueError:
        options = {}
    if not isinstance(options, dict):
        options = {}
    secrets = (
        str(value)
        for name, value in [*options.items(), *given.items()]
        if re.fullmatch(f"(?i){_SENSITIVE_NAME}", name)
    )
    return sorted((value for value in secrets if len(value) >= 5), key=len, reverse=True)
