"""Tests of the run parameters: what the form takes, and what code refuses all the same."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import ParamValidationError

from include.orchestration.trigger_forms.request_form import release_params, rollback_params
from include.orchestration.trigger_forms.run_form import read_params, resolve_params, run_params
from include.retraining.approval.reason import REASON_PATTERN, checked_reason
from include.retraining.config.trigger import Trigger
from include.retraining.exceptions import ParameterError, RegistryError
from include.retraining.store.secret_names import is_secret_name
from tests.support.contexts import MakeContext

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def resolve(given: dict[str, Any], *, timezone: str = "UTC", run_after: datetime = NOW) -> Any:
    """Resolve parameters as of a fixed time."""
    return resolve_params(given, run_after=run_after, now=NOW, timezone=timezone)


def test_what_is_left_open_gets_its_default() -> None:
    """Nothing given: no dry run, no force, the run's own date, no reason."""
    params = resolve({})
    assert params.model_dump() == {
        "dry_run": False,
        "force_retrain": False,
        "date": date(2026, 11, 24),
        "reason": None,
    }


def test_the_forms_defaults_are_accepted() -> None:
    """What the form sends when nothing is filled in is valid for schema and code."""
    resolve({name: param.resolve() for name, param in run_params().items()})


@pytest.mark.parametrize(
    ("timezone", "day"), [("UTC", 24), ("America/New_York", 23), ("Asia/Tokyo", 24)]
)
def test_the_runs_date_is_the_models(timezone: str, day: int) -> None:
    """A run due at 03:00 UTC is of the day before in New York."""
    run_after = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
    assert resolve({}, timezone=timezone, run_after=run_after).date == date(2026, 11, day)


@pytest.mark.parametrize("text", ["2026-11-24", "2026-11-23", "2025-10-20"])
def test_dates_within_bounds_are_taken(text: str) -> None:
    """Today, yesterday, and the day 400 days ago."""
    assert resolve({"date": text}).date == date.fromisoformat(text)


def test_today_is_the_models_today() -> None:
    """At 23:00 UTC it is tomorrow in Tokyo already."""
    late = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
    params = resolve_params({"date": "2026-11-25"}, run_after=late, now=late, timezone="Asia/Tokyo")
    assert params.date == date(2026, 11, 25)


@pytest.mark.fault("F04", "T01", "T06", "T07", "T10")
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"force": True}, r"unknown parameter 'force'; allowed: dry_run, reason, date, force_re"),
        ({"minimum": 0.1}, r"unknown parameter 'minimum'"),
        ({"uri": "s3://other-bucket/x"}, r"unknown parameter 'uri'"),
        ({"x" * 500: 1}, r"unknown parameter 'x{60}'"),
        ({"dry_run": "true"}, r"dry_run: must be true or false, is 'true'"),
        ({"dry_run": 1}, r"dry_run: must be true or false, is 1"),
        ({"dry_run": None}, r"dry_run: must be true or false, is None"),
        ({"dry_run": math.nan}, r"dry_run: must be true or false, is nan"),
        ({"force_retrain": "yes"}, r"force_retrain: must be true or false"),
        ({"force_retrain": True}, r"force_retrain needs a reason"),
        ({"force_retrain": True, "reason": "   "}, r"force_retrain needs a reason"),
        ({"date": "2026-11-25"}, r"date: 2026-11-25 is out of bounds; allowed: 2025-10-20 to 202"),
        ({"date": "2025-10-19"}, r"date: 2025-10-19 is out of bounds"),
        ({"date": "2026-02-30"}, r"date: there is no day 2026-02-30"),
        ({"date": "20261124"}, r"date: must be a date such as 2026-11-24, is '20261124'"),
        ({"date": "2026-11-24\n"}, r"date: must be a date"),
        ({"date": "../../etc/passwd"}, r"date: must be a date"),
        ({"date": "file:///etc/passwd"}, r"date: must be a date"),
        ({"date": "http://169.254.169.254/"}, r"date: must be a date"),
        ({"date": 20261124}, r"date: must be a date"),
        ({"date": ["2026-11-24"]}, r"date: must be a date"),
        ({"date": "\u0662026-11-24"}, r"date: must be a date"),
        ({"reason": "x" * 201}, r"reason: must be one line of at most 200 char.+ this one has 201"),
        ({"reason": 5}, r"reason: must be a text"),
        ({"reason": "a\n"}, r"reason: must be one line .+ line break"),
        ({"reason": "a\u202eb"}, r"character that cannot be seen"),
        ({"reason": "<!channel>"}, r"reason: must be .+without < > .+; this one holds < >"),
        ({"reason": "$(id)"}, r"this one holds \$"),
        ({"reason": "; rm -rf /"}, r"this one holds ;"),
        ({"reason": "{{ conn.store }}"}, r"this one holds { }"),
        ({"reason": "`id`"}, r"this one holds"),
        ({"reason": "a\\b|c"}, r"this one holds"),
    ],
)
def test_bad_values_are_refused_in_one_line(given: dict[str, Any], says: str) -> None:
    """The error names the parameter and what is allowed, and is one line."""
    with pytest.raises(ParameterError, match=says) as error:
        resolve(given)
    assert "\n" not in str(error.value)


SECRET_REASONS = [
    "the key is AKIAIOSFODNN7EXAMPLE",
    "they know password=hunter22 now",
    "Password: hunter22",
    "use AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI",
    "sent to https://hooks.slack.com/services/T0/B0/abcdef",
    "as postgresql://user:hunter22@db/x says",
    "token xoxb-123456789-abcdef",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig-nature",
    "AIzaSy0123456789012345678901234567890ab",
    "Bearer abc.def-ghi/jkl",
    "AccountKey=Zm9vYmFyc2VjcmV0",
]


@pytest.mark.fault("L02")
@pytest.mark.parametrize("reason", SECRET_REASONS)
def test_a_secret_in_a_reason_is_refused(reason: str) -> None:
    """The form refuses it before Airflow keeps it; code says why and does not repeat it."""
    with pytest.raises(ParamValidationError):
        run_params()["reason"].resolve(reason)
    with pytest.raises(ParameterError, match=r"looks like a secret.+ say in words") as refused:
        resolve({"reason": reason})
    assert reason[-8:] not in str(refused.value)
    with pytest.raises(RegistryError, match="looks like a secret"):
        checked_reason("ada", reason)


def test_a_browser_reads_the_pattern_of_a_reason() -> None:
    """Its flags `u` and `v` know no escape of a sign that needs none: not one is in the pattern."""
    outside_classes = re.sub(r"\[(?:\\.|[^\]\\])*\]", "", REASON_PATTERN)
    assert set(re.findall(r"\\(.)", outside_classes)) <= set("/.")
    assert set(re.findall(r"\\(.)", REASON_PATTERN)) <= set("/.-sSxu{}$\\|")


@pytest.mark.fault("L02")
def test_a_key_without_a_name_is_refused_by_code() -> None:
    """What no form can tell from a word is refused all the same, and a digest is no key."""
    with pytest.raises(ParameterError, match="looks like a secret"):
        resolve({"reason": "it is wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"})
    assert resolve({"reason": f"back to {'0123456789abcdef' * 4}"}).reason


@pytest.mark.fault("T14")
def test_no_form_asks_for_a_secret() -> None:
    """A viewer sees the parameters of a run: no form has a field for a secret."""
    for form in (run_params(), rollback_params(), release_params()):
        for name, param in form.items():
            assert not is_secret_name(name)
            assert param.schema.get("format") != "password"
            if "string" in param.schema["type"]:  # free text is bounded, and refuses secrets
                is_bounded = {"enum", "format"} & set(param.schema) or "pattern" in param.schema
                assert is_bounded, name


@pytest.mark.fault("T09")
def test_parameters_of_many_megabytes_are_refused() -> None:
    """All parameters together are bounded, whatever their names."""
    with pytest.raises(ParameterError, match=r"the parameters have 5,000,0.. characters as JSON"):
        resolve({"x": "y" * 5_000_000})


@pytest.mark.parametrize(
    "reason",
    [
        "New labels, see #42 (team/credit)",
        "x" * 200,
        "très bien",
        "Ada's \"fix\": 50 % off, isn't it? ROC = 0.7 & falling!",
        "データが壊れている",
        "the secret's owner asked: rotate the token, then wait",
    ],
)
def test_reasons_are_kept(reason: str) -> None:
    """What people write is taken as it is, by the form, by the code and by the command line."""
    assert resolve({"reason": reason, "force_retrain": True}).reason == reason
    assert run_params()["reason"].resolve(reason) == reason
    assert checked_reason("ada", reason) == reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dry_run", "true"),
        ("dry_run", 1),
        ("date", "yesterday"),
        ("reason", "x" * 201),
        ("reason", "a\n"),
        ("reason", "<!channel>"),
    ],
)
def test_the_form_refuses_too(name: str, value: Any) -> None:
    """The schema is the first of two fences, and a last newline does not slip past it."""
    with pytest.raises(ParamValidationError):
        run_params()[name].resolve(value)


@pytest.mark.fault("T01")
def test_a_key_that_airflow_did_not_merge_is_refused(context: MakeContext) -> None:
    """An unknown key of the run's conf is seen even when Airflow leaves it out of the params."""
    task = context(conf={"force": True})
    task["params"].pop("force")
    with pytest.raises(ParameterError, match="unknown parameter 'force'"):
        read_params(task, Trigger(schedule=None, flag="ready.flag"))
