"""Secrets are masked, and what is no secret is left alone."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote, quote_plus

import pytest

from include.retraining.store.redaction import mask_own, redact
from include.retraining.store.secret_names import is_secret_name

KEY = "wJalr+XUtn/FEMI=K7MDENG"

SECRETS = [
    ("postgresql://user:hunter22@db:5432/x", "hunter22"),
    ("https://hooks.slack.com/services/T000/B000/abcDEF", "abcDEF"),
    ("http://127.0.0.1:9000/services/T000/B000/abcDEF", "abcDEF"),
    ("key AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("ASIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    ("token xoxb-123456789-abcdef", "123456789"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "abcdefghij"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig-nature", "eyJzdWIi"),
    ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
    ("Authorization: Bearer abc.def-ghi/jkl==", "abc.def"),
    ("?X-Amz-Signature=0123abcd&x=1", "0123abcd"),
    ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG", "wJalrXUtn"),
    ('{"password": "hunter22"}', "hunter22"),
    ("SLACK_TOKEN: hunter22", "hunter22"),
    ("api-key='hunter22'", "hunter22"),
    ("postgresql://user:hun/ter22@db:5432/x", "ter22"),
    ("user:hunter22@db.example.org", "hunter22"),
    ("Authorization: Basic abcd!", "abcd!"),
    ("curl sent basic dXNlcjpodW50ZXIyMg==", "dXNlcjpodW50ZXIyMg"),
    (f"key {'Zm9vYmFy' * 10}Zm9vYg==", "Zm9vYmFy"),
    ("AccountName=a;AccountKey=Zm9vYmFyc2VjcmV0==;EndpointSuffix=b", "Zm9vYmFyc2VjcmV0"),
    ("SharedAccessKey=Zm9vYmFyc2VjcmV0", "Zm9vYmFyc2VjcmV0"),
    ("https://a.blob.core.windows.net/c?sv=2024&sig=Zm9v%2BYmFy&se=1", "Zm9v%2BYmFy"),
    ("sas=Zm9vYmFyc2VjcmV0", "Zm9vYmFyc2VjcmV0"),
    ("AIza" + "Sy0123456789" * 3, "Sy0123456789"),
    (
        '{"private_key": "-----BEGIN PRIVATE KEY-----\\nMIIE\\n-----END PRIVATE KEY-----\\n"}',
        "MIIE",
    ),
    ("X-Goog-Credential=a&X-Goog-Signature=0123abcd", "0123abcd"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secrets_are_masked(text: str, secret: str) -> None:
    """Each shape of a secret is masked, and twice is as good as once."""
    assert secret not in redact(f"before {text} after")
    assert redact(f"before {text}").startswith("before ")
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/models/loan_approval/runs/20260101T000000-x/verdict-0.json",
        "fairness race: the selection rate is 0.71, must be at least 0.80",
        "version 0123456789abcdef (generation 3) serves since 2026-01-01 06:00 UTC",
        "mail ann@example.org, mailto:ann@example.org",
        "the image python:3.12-slim@sha256:0123abcd and https://r:5000/a:tag@sha256:0123abcd",
        "primary_key: customer, key: customer_id, keys, message: hello, basic training 2026",
    ],
)
def test_other_text_is_left_alone(text: str) -> None:
    """Addresses, numbers and digests stay readable."""
    assert redact(text) == text


def test_values_of_the_stores_options(monkeypatch: pytest.MonkeyPatch) -> None:
    """The values of options that name a secret are masked wherever they appear."""
    options = {"AWS_SECRET_ACCESS_KEY": "pl4in", "AWS_SESSION_TOKEN": "pl4in-and-more", "X": "open"}
    monkeypatch.setenv("RETRAINING_STORE_OPTIONS", json.dumps(options))
    assert redact("pl4in-and-more, pl4in, open") == "***, ***, open"


def test_only_our_own_secrets() -> None:
    """What only looks like a secret stays readable in what a model's code prints."""
    options = {"AWS_SECRET_ACCESS_KEY": "pl4in", "AWS_REGION": "eu-west-3"}
    assert mask_own("max_tokens=4096 pl4in eu-west-3", options) == "max_tokens=4096 *** eu-west-3"


@pytest.mark.parametrize("options", ["{", "[]", '{"AWS_SECRET_ACCESS_KEY": "abc"}'])
def test_odd_options_mask_nothing(options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unreadable options and values too short to be a secret are passed over."""
    monkeypatch.setenv("RETRAINING_STORE_OPTIONS", options)
    assert redact("abc") == "abc"


def _forms(secret: str) -> list[str]:
    """Return what programs make of a secret when they print it."""
    data = secret.encode()
    logins = [base64.b64encode(f"{user}:{secret}".encode()) for user in ("a", "ab", "abc")]
    return [
        secret,
        quote(secret, safe=""),
        re.sub("%..", lambda found: found[0].lower(), quote_plus(secret)),
        data.hex(),
        data.hex().upper(),
        base64.b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode(),
        *(login.decode() for login in logins),
        json.dumps(f"line\n{secret}"),
    ]


@pytest.mark.fault("L03")
@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_ACCOUNT_KEY"])
def test_a_secret_of_ours_is_masked_in_each_form(name: str) -> None:
    """As it is, in an address, in hex, in base64 and in a login, a known secret is not shown."""
    for shown in _forms(KEY):
        masked = mask_own(f"it printed {shown} here", {name: KEY})
        assert masked.startswith("it printed ")
        assert masked.endswith(" here")
        assert "***" in masked
        # Of base64 the letters that a secret shares with what stands beside it may be left.
        assert len(masked) <= len("it printed *** here") + 12, shown


@pytest.mark.fault("L03")
def test_the_key_of_a_service_account_is_masked_line_by_line() -> None:
    """A key of Google's is masked as JSON, as the key in it, and in each line of that."""
    lines = ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "BKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"]
    pem = "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])
    options = {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps({"type": "x", "private_key": pem})}
    for shown in (options["GOOGLE_SERVICE_ACCOUNT_KEY"], pem, json.dumps(pem), *lines):
        assert "MIIE" not in mask_own(shown, options)
        assert "BKcw" not in mask_own(shown, options)


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("AWS_SECRET_ACCESS_KEY", True),
        ("AZURE_STORAGE_SAS_KEY", True),
        ("AZURE_STORAGE_SAS_TOKEN", True),
        ("GOOGLE_SERVICE_ACCOUNT_KEY", True),
        ("sas", True),
        ("AccountKey", True),
        ("PASSPHRASE", True),
        ("AWS_REGION", False),
        ("GOOGLE_SERVICE_ACCOUNT", False),
        ("message", False),
    ],
)
def test_one_list_says_what_is_a_secret(name: str, is_secret: bool) -> None:
    """The store's settings and the text that people read go by the same list of words."""
    assert is_secret_name(name) is is_secret


def test_a_switch_is_no_secret() -> None:
    """A setting that is only switched is not masked wherever its word turns up."""
    assert mask_own("it is false", {"AWS_SSE_BUCKET_KEY_ENABLED": "false"}) == "it is false"
