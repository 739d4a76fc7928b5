"""Tests of what a person sees who is asked."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from include.retraining.decisions.evidence import Evidence, judged_evidence
from include.retraining.exceptions import EvidenceError
from include.retraining.gate.verdict import Answer, GateResult
from include.retraining.notifications.approval_request import (
    Question,
    ask,
    compare_url,
    question_notice,
)
from include.retraining.notifications.notice import Links, NoticeKind
from include.retraining.registry.promotion import Registry
from include.retraining.runs.manifest import read_manifest
from include.retraining.steps.decide import check_quality
from include.retraining.store import marker as store_marker
from include.retraining.store.layout import version_manifest_key
from include.retraining.store.object_store import Store
from tests.support.run_factory import (
    CODE,
    MODEL,
    START,
    decide,
    plant_run,
    plant_version,
    run_ref,
    version_name,
)

EXPIRES = START + timedelta(days=3)
VIEW = "https://github.com/org/repo/tree/{version}/models"
OLD, NEW = "a" * 40, "b" * 40
HOSTILE = "`|<script>alert(1)</script> [x](http://evil.example) **{{ 7 * 7 }}**\n# no"


@pytest.fixture
def store(folder_store: Store) -> Store:
    """An initialised store."""
    return store_marker.initialise(folder_store.uri)


def question(store: Store, number: int, **more: Any) -> Question:
    """Return the question about one day's run, which ran at another commit than the champion."""
    run = plant_run(store, number, **more)
    manifest = read_manifest(store, run.paths)
    code = CODE.model_copy(update={"git_sha": NEW})
    store.write(run.paths.manifest, manifest.model_copy(update={"code": code}).to_bytes())
    check_quality(store, run)
    return ask(store, run, judged_evidence(store, run), expires_at=EXPIRES)


def plant_champion(store: Store) -> None:
    """Let the first day's version serve, made at an older commit."""
    plant_version(store, 1, code=CODE.model_copy(update={"git_sha": OLD}))
    decide(store, plant_run(store, 1, version=True))


def rows_of(body: str) -> list[list[str]]:
    """Return the cells of every table's rows; a bar that is escaped divides nothing."""
    lines = [line for line in body.splitlines() if line.startswith("|")]
    bar = "\x00"
    return [
        [cell.strip() for cell in line.replace("\\|", bar).strip("|").split("|")] for line in lines
    ]


def test_the_evidence_is_all_there(store: Store) -> None:
    """Each gate with value and limit, champion, baseline, slices, the data and the code."""
    plant_champion(store)
    asked = question(store, 2)
    body = asked.body(VIEW)
    verdict, report = asked.evidence.verdict, asked.evidence.report
    first = [row[0] for row in rows_of(body)]
    assert {gate.gate for gate in verdict.gates} <= {cell.replace("\\", "") for cell in first}
    header = next(row for row in rows_of(body) if row[0] == "Metric")
    assert header[1:] == ["Challenger", f"Champion `{version_name(1)}`", "Naive baseline"]
    assert "Against the champion, by accuracy" in body
    slices = [row[0] for row in rows_of(body) if " = " in row[0]]
    assert len(slices) == len(report.slices)
    data = {row[0]: row[1:4] for row in rows_of(body) if row[0] in {"Challenger", "Champion"}}
    assert data["Champion"][0] == "2026-01-02"
    assert data["Challenger"][0] == "2026-01-03"
    assert f"[See what changed](https://github.com/org/repo/compare/{OLD}...{NEW})" in body
    assert "Answer by **2026-01-04 06:00 UTC**" in body
    assert version_name(1) in body.partition("### Gates")[0]


def test_without_an_address_the_commits_are_named(store: Store) -> None:
    """Who knows no forge still sees which commits to compare, and whether the code differs."""
    plant_champion(store)
    body = question(store, 2).body(None)
    assert f"Challenger: commit `{NEW[:12]}`. Champion: commit `{OLD[:12]}`." in body
    assert "The code that trains is the same." in body
    assert "compare" not in body


def test_code_that_is_in_no_commit_is_said(store: Store) -> None:
    """Whoever approves sees that the commit is not all that ran."""
    asked = question(store, 1)
    manifest = asked.evidence.manifest
    code = CODE.model_copy(update={"git_sha": f"{NEW}-dirty"})
    manifest = manifest.model_copy(update={"code": code})
    body = replace(asked, evidence=asked.evidence._replace(manifest=manifest)).body(None)
    assert f"Commit `{NEW[:12]}-dirty` (with changes that are in no commit)." in body


def test_other_code_is_said(store: Store) -> None:
    """Digests tell whether the code differs, also where no commit is known."""
    decide(store, plant_run(store, 1))
    asked = question(store, 2)
    assert asked.champion is not None
    code = CODE.model_copy(update={"training_digest": "0" * 64})
    champion = asked.champion.model_copy(update={"code": code})
    body = replace(asked, champion=champion).body(None)
    assert "Champion: commit unknown." in body
    assert "The code that trains is **not the same**." in body


def test_the_first_version_has_nothing_to_be_compared_with(store: Store) -> None:
    """It says so, in place of a champion's column."""
    body = question(store, 1).body(VIEW)
    assert "Serving now: nothing yet." in body
    assert "There is no champion" in body
    assert not [row for row in rows_of(body) if row[0] == "Champion"]


def test_a_champion_that_cannot_be_read_is_left_out(store: Store) -> None:
    """The question is asked all the same: the gate has judged what it means."""
    plant_champion(store)
    asked = question(store, 2)
    store.write(version_manifest_key(MODEL, version_name(1)), b"{}")
    again = ask(store, run_ref(2), asked.evidence, expires_at=EXPIRES)
    assert again.champion is None
    assert version_name(1) in again.body(VIEW)


def test_a_hold_is_said(store: Store) -> None:
    """Who approves under a hold is told that it promotes nothing."""
    for day in (1, 2):
        decide(store, plant_run(store, day))
    Registry(store, MODEL).rollback(version_name(1), actor="ada", reason="a complaint")
    assert "on hold" in question(store, 3).body(None)


def test_what_the_gate_refused_is_asked_of_nobody(store: Store) -> None:
    """It is an error, whoever asks."""
    with pytest.raises(EvidenceError, match="no approval is asked"):
        question(store, 1, report={"challenger.metrics.accuracy": 0.5})


def test_hostile_names_stay_text(store: Store) -> None:
    """Markup, links, HTML and table bars of data and configuration are shown as they are."""
    plant_champion(store)
    asked = question(store, 2)
    body = _renamed(asked, HOSTILE).body(VIEW)
    assert "<script>" not in body.replace("\\<", "")
    links = re.findall(r"(?<!\\)\]\(\S+\)", body)
    assert links == [f"](https://github.com/org/repo/compare/{OLD}...{NEW})"]
    assert "http://evil" not in body
    assert "\n# no" not in body
    tables = [row for row in rows_of(body) if "script" in "".join(row)]
    assert {len(row) for row in tables} == {5}  # no bar made a column of its own
    assert len(tables) == len(asked.evidence.verdict.gates) + len(asked.evidence.report.slices)


def test_the_message_says_until_when_and_leads_to_the_page(store: Store) -> None:
    """Of the kind that waits, with what serves, the page, the runbook, and a key for each try."""
    plant_champion(store)
    asked = question(store, 2)
    links = Links(page="http://airflow/dags/d/runs/r/tasks/approve_promotion/required_actions")
    notice = question_notice(asked, links, attempt="0-1")
    assert notice.kind is NoticeKind.WAITING
    assert "by 2026-01-04 06:00 UTC" in notice.text
    assert f"version {version_name(1)} (generation 1), since" in notice.text
    assert "docs/runbooks/approval.md" in notice.text
    assert f"<{links.page}|answer>" in str(notice.blocks)
    assert "Toy &amp; model" in notice.text
    assert question_notice(asked, links, attempt="0-1").key == notice.key
    assert question_notice(asked, links, attempt="0-2").key != notice.key


@pytest.mark.parametrize(
    ("view", "found"),
    [
        (VIEW, f"https://github.com/org/repo/compare/{OLD}...{NEW}"),
        (
            "https://gitlab.example/a/b/-/tree/{version}",
            f"https://gitlab.example/a/b/-/compare/{OLD}...{NEW}",
        ),
        ("https://bitbucket.org/a/b/src/{version}", None),
        ("https://ada:secret@github.com/org/repo/tree/{version}", None),
        ("javascript:alert(1)//tree/{version}", None),
        ("https://x.example/a) [b](c/tree/{version}", None),
        (None, None),
    ],
)
def test_only_a_known_forge_gets_a_link(view: str | None, found: str | None) -> None:
    """GitHub's and GitLab's addresses lead to a comparison; nothing else becomes a link."""
    assert compare_url(view, OLD, NEW) == found


@pytest.mark.parametrize("old", [None, "", "unknown", "../..", NEW])
def test_only_two_commits_are_compared(old: str | None) -> None:
    """What is no commit, or the same one, is not."""
    assert compare_url(VIEW, old, NEW) is None


def _renamed(asked: Question, name: str) -> Question:
    """Return a question whose gates and slices have another name and reason."""
    evidence = asked.evidence
    gate = GateResult(gate=name, answer=Answer.PASS, value=1.0, limit=0.0, reason=name)
    slices = [item.model_copy(update={"value": name}) for item in evidence.report.slices]
    changed = Evidence(
        evidence.paths,
        evidence.manifest,
        evidence.report.model_copy(update={"slices": tuple(slices)}),
        evidence.verdict.model_copy(
            update={"gates": (gate,) * len(evidence.verdict.gates), "headline": name}
        ),
    )
    return replace(asked, evidence=changed)
