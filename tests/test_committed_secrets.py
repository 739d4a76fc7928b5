"""No file of the repository holds a secret: the shapes of real ones are looked for in each."""

from __future__ import annotations

import math
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHAPES = {
    "AWS key id": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "Slack webhook": re.compile(r"\bT[A-Z0-9]{7,}/B[A-Z0-9]{7,}/\w{16,}"),
    "Slack token": re.compile(r"\bxox[abeoprs]-[\w-]{20,}"),
    "forge token": re.compile(r"\b(?:gh[pousr]_\w{36,}|github_pat_\w{22,}|glpat-[\w-]{20,})"),
    "JSON web token": re.compile(r"\beyJ[\w-]{16,}\.[\w-]{16,}\.[\w-]{16,}"),
    "private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{20,}"),
    "Fernet key": re.compile(r"(?i)fernet[\w -]*['\"]?\s*[:=]\s*['\"]?([\w-]{43}=)"),
}
# A long random text behind a name that says that it is secret.
NAMED = re.compile(
    r"(?i)[\w-]*(?:secret|passw(?:or)?d|token|api[_-]?key|access[_-]?key)[\w-]*"
    r"['\"]?\s*[:=]\s*['\"]?([A-Za-z0-9+/_-]{20,}={0,2})(?=['\"\s,;}]|$)"
)
BITS_PER_CHARACTER = 4.2
# What AWS and our own tests show as examples; none opens anything.
EXAMPLES = {
    "wJalrXUtnFEMI/K7MDENG",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
}


def randomness(text: str) -> float:
    """Return the entropy in bits per character: words have about 3.5, random base64 above 4.2."""
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


def secrets_in(text: str) -> list[str]:
    """Return what in a text looks like a secret, as `KIND at line N`; never the secret itself."""
    found = [
        (kind, match)
        for kind, shape in SHAPES.items()
        for match in shape.finditer(text)
        if match.group() not in EXAMPLES
    ]
    found += [
        ("named secret", match)
        for match in NAMED.finditer(text)
        if match.group(1) not in EXAMPLES and randomness(match.group(1)) > BITS_PER_CHARACTER
    ]
    return [f"{kind} at line {text.count(chr(10), 0, match.start()) + 1}" for kind, match in found]


def texts() -> Iterator[tuple[str, str]]:
    """Yield name and text of each file that is committed, or that `git add` would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            yield name, path.read_bytes().decode("utf-8", errors="replace")


@pytest.mark.fault("L06")
def test_no_file_holds_a_secret() -> None:
    """Code, YAML, compose file, fixtures, documents: all that git knows or would add."""
    found = {name: secrets for name, text in texts() if (secrets := secrets_in(text))}
    assert found == {}


@pytest.mark.fault("L06")
@pytest.mark.parametrize(
    ("kind", "planted"),
    [
        ("AWS key id", "the key AKIA" + "Q3EGZX5PL2MNB7RT"),
        ("Slack webhook", "hooks.slack.com/services/T02AB3CD4/" + "B05EF6GH7/" + "q" * 24),
        ("Slack token", "xox" + "b-2384729384-9238479238-Zk3jR8sLq0"),
        ("forge token", "gh" + "p_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"),
        ("JSON web token", "ey" + "JhbGciOiJIUzI1NiIsI.eyJzdWIiOiIxMjM0NTY3.SflKxwRJSMeKKF2QT4"),
        ("private key", "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEpAIBAAKCAQEA75k2vF"),
        ("Fernet key", "fernet_key: " + "cryptography-is-fun-0123456789abcdefghijklm" + "="),
        ("named secret", "AWS_SECRET_ACCESS_KEY: " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzQ8h2LkT0s"),
        ("named secret", '"password": "' + "hV7q-Zt3_Rw9kLx2Bn8Ycd4M" + '"'),
    ],
    ids=range(9),  # not the texts: they would be in every log
)
def test_a_planted_secret_is_found(kind: str, planted: str) -> None:
    """By its kind and line; the finding does not repeat it."""
    (finding,) = secrets_in(f"# a file\n{planted}\n")
    assert finding == f"{kind} at line 2"


def test_what_only_looks_secret_is_left_alone() -> None:
    """Names, placeholders, digests and environment variables are not."""
    for text in (
        "password = secrets.token_urlsafe(12)\n",
        "AWS_SECRET_ACCESS_KEY=test-secret",
        '"AWS_SECRET_ACCESS_KEY": options["AWS_SECRET_ACCESS_KEY"]',
        "conn_password: T00000000/B00000000/demonstration",
        "--hash=sha256:" + "0123456789abcdef" * 4,
        "https://hooks.slack.com/services/T/B/X",
    ):
        assert secrets_in(text) == []
