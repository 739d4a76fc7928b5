"""Secrets are masked, and what is no secret is left alone."""

from __future__ import annotations

import json

import pytest

from include.retraining.redaction import mask_own, redact

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
        "mail ann@example.org",
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
