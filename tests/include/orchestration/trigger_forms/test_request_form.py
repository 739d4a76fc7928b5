"""What a person may type into the forms of the DAGs that act by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from include.orchestration.trigger_forms.request_form import (
    read_request,
    release_params,
    rollback_params,
)
from include.retraining.exceptions import ParameterError
from tests.support.contexts import MakeContext

DUE = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
ASKED = {"model": "loan_approval", "reason": "complaints"}


def asked(context: MakeContext, **conf: Any) -> dict[str, Any]:
    """The context of a task of a run that a person triggered."""
    return context(dag_id="rollback_model", params={}, conf=conf)


def test_what_was_asked(context: MakeContext) -> None:
    """Who, what, why, and the name that every try of the run has in common."""
    request = read_request(asked(context, **ASKED), rollback_params())
    assert (request.model, request.reason, request.actor) == ("loan_approval", "complaints", "ada")
    assert request.name == "rollback_model/manual__2026-11-24T06:00:00+00:00"
    assert (request.due, request.asked_at) == (DUE, DUE)
    assert (request.version, request.dry_run) == (None, True)


def test_a_version_may_be_left_empty(context: MakeContext) -> None:
    """The form of the UI sends an empty text where nothing was typed."""
    assert read_request(asked(context, **ASKED, version=""), rollback_params()).version is None
    named = read_request(asked(context, **ASKED, version="a1b2"), rollback_params())
    assert named.version == "a1b2"


def test_what_was_seen_may_be_named(context: MakeContext) -> None:
    """A generation is a number from 1, whoever sends it."""
    form = rollback_params()
    assert read_request(asked(context, **ASKED), form).generation is None
    assert read_request(asked(context, **ASKED, generation=3), form).generation == 3
    for wrong in (0, -1, True, "3", 2.5):
        with pytest.raises(ParameterError, match="generation: must be a number, 1 or more"):
            read_request(asked(context, **ASKED, generation=wrong), form)


def test_a_release_has_no_dry_run(context: MakeContext) -> None:
    """It is done when it is asked for; what a rollback asks is unknown to it."""
    assert read_request(asked(context, **ASKED), release_params()).dry_run is False
    with pytest.raises(ParameterError, match="unknown parameter 'version'"):
        read_request(asked(context, **ASKED, version="a1b2"), release_params())


@pytest.mark.fault("T01")
@pytest.mark.parametrize(
    ("conf", "text"),
    [
        ({"reason": None}, "reason: is missing"),
        ({"reason": "   "}, "reason: is missing"),
        ({"reason": "a\nb"}, "reason: must be one line"),
        ({"reason": "x\x00"}, "reason: must be one line"),
        ({"reason": "x" * 201}, "this one has 201"),
        ({"reason": float("nan")}, "reason: must be a text"),
        ({"model": None}, "model: must be one of"),
        ({"model": "../loan_approval"}, "model: must be one of"),
        ({"model": ["loan_approval"]}, "model: must be one of"),
        ({"version": "../../etc"}, "version: must be a version's name"),
        ({"version": "a\n"}, "version: must be a version's name"),
        ({"version": float("nan")}, "version: must be a version's name"),
        ({"version": False}, "version: must be a version's name"),
        ({"dry_run": "false"}, "dry_run: must be true or false"),
        ({"dry_run": 0}, "dry_run: must be true or false"),
        ({"dry_run": None}, "dry_run: must be true or false"),
        ({"force": True}, "unknown parameter 'force'"),
    ],
)
def test_what_is_refused(context: MakeContext, conf: dict[str, Any], text: str) -> None:
    """Every value is checked in code as well, whatever way it came."""
    with pytest.raises(ParameterError, match=text):
        read_request(asked(context, **{**ASKED, **conf}), rollback_params())
