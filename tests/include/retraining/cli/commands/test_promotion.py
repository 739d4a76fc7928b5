"""The commands that change the champion."""

from __future__ import annotations

import getpass
import json
import time
from copy import deepcopy
from datetime import UTC, datetime

import pytest

from include.retraining.decisions.record import Outcome
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.outbox import waiting
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.steps.close_run import close_run
from include.retraining.store.object_store import Store
from tests.support.command_line import Run
from tests.support.gate_checks import GOOD_REPORT
from tests.support.run_factory import (
    MODEL,
    decide,
    plant_run,
    plant_version,
    run_ref,
    version_name,
)


def told_back(store: Store) -> list[Notice]:
    """Return the messages about a rollback; those about the runs before it wait too."""
    return [notice for notice in waiting(store) if notice.event == "rolled_back"]


def test_rollback(store: Store, run: Run, known: None) -> None:
    """`rollback` lets an earlier version serve, in the name of who typed it."""
    started = time.monotonic()
    words = ("rollback", MODEL, "--to", version_name(1), "--reason", "complaints")
    code, _, err = run(*words, "--generation", "1")
    assert (code, "you saw generation 1: look again" in err) == (1, True)
    code, out, _ = run(*words, "--generation", "2")
    assert time.monotonic() - started < 60
    assert code == 0
    assert f"version {version_name(1)} (generation 3" in out
    assert (
        f"No asset event was emitted: a command cannot. DAGs that wait for the asset `{MODEL}_c"
        in out
    )
    entry = PromotionLog(store, MODEL).champion()
    assert entry is not None
    assert (entry.actor, entry.reason) == (getpass.getuser(), "complaints")
    (notice,) = told_back(store)
    assert (notice.event, notice.model) == ("rolled_back", MODEL)
    assert "complaints" in notice.text
    code, _, err = run("rollback", MODEL, "--to", "nothing", "--reason", "x")
    assert code == 1
    assert "never served" in err


def test_a_rollback_typed_again_is_the_one_that_was_made(
    store: Store, run: Run, known: None
) -> None:
    """After a lost connection: one step back, one message, whether `--to` was given or not."""
    words = ("rollback", MODEL, "--reason", "complaints")
    assert run(*words)[0] == 0
    for again in (words, (*words, "--to", version_name(1)), (*words, "--dry-run")):
        code, out, _ = run(*again)
        assert code == 0
        assert "This was done already." in out
    assert [entry.generation for entry in PromotionLog(store, MODEL).history()] == [1, 2, 3]
    (notice,) = told_back(store)
    store.delete(f"outbox/{notice.key}.json")
    run(*words, "--dry-run")
    assert told_back(store) == []
    run(*words)
    assert [again.key for again in told_back(store)] == [notice.key]


def test_an_empty_version_is_none_that_served(store: Store, run: Run, known: None) -> None:
    """`--to "$VERSION"` with nothing in the variable is no rollback to the champion before."""
    code, _, err = run("rollback", MODEL, "--to", "", "--reason", "complaints")
    assert code == 1
    assert "version '' never served" in err
    assert len(PromotionLog(store, MODEL).history()) == 2


def test_who_types_must_be_known_by_a_name(
    store: Store, run: Run, known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name goes into the log for ever."""
    monkeypatch.setenv("LOGNAME", "a\nb")
    code, _, err = run("rollback", MODEL, "--reason", "complaints")
    assert (code, err) == (1, "the actor is no name: 'a\\nb'\n")


def test_a_dry_run_of_a_rollback(store: Store, run: Run, known: None) -> None:
    """`rollback --dry-run` names the champion before, tries it, and changes nothing."""
    code, out, _ = run("rollback", MODEL, "--reason", "complaints", "--dry-run")
    assert code == 0
    assert out.startswith("Dry run, nothing was changed. It would be: ")
    assert f"version {version_name(1)} (it served as generation 1" in out
    assert f"instead of version {version_name(2)} (generation 2)" in out
    assert f"Tried: version {version_name(1)} verifies and loads" in out
    words = ("rollback", MODEL, "--reason", "complaints", "--dry-run", "--json")
    assert json.loads(run(*words)[1])["target"] == {"version": version_name(1), "generation": 1}
    assert len(PromotionLog(store, MODEL).history()) == 2


def test_no_rollback_to_what_does_not_answer(store: Store, run: Run, known: None) -> None:
    """A version that is damaged is refused before anything changes, and `try` says the same."""
    store.write(f"models/{MODEL}/versions/{version_name(1)}/0-1/model.skops", b"x")
    for words in (
        ("rollback", MODEL, "--reason", "complaints"),
        ("try", MODEL, "--version", version_name(1)),
    ):
        code, _, err = run(*words)
        assert code == 1
        assert "altered" in err
    assert len(PromotionLog(store, MODEL).history()) == 2


def test_release(store: Store, run: Run, known: None) -> None:
    """`release` ends the hold of a rollback, once, with a reason; what serves stays."""
    run("rollback", MODEL, "--to", version_name(1), "--reason", "complaints")
    code, out, _ = run("release", MODEL, "--reason", "labels repaired")
    assert code == 0
    assert version_name(1) in out
    assert "The next pass of `watch_models` sends the notice" in out
    assert sorted(notice.event for notice in waiting(store)) == ["released", "rolled_back"]
    assert PromotionLog(store, MODEL).hold() is None
    code, _, err = run("release", MODEL, "--reason", "again")
    assert code == 1
    assert "nothing is on hold" in err


def test_a_release_leaves_since_when_a_version_serves(store: Store, run: Run, known: None) -> None:
    """What serves has served since the rollback; who released it when is said beside it."""
    run("rollback", MODEL, "--reason", "complaints")
    assert "no run promotes until it is released" in run("champion", MODEL)[1]
    path = store.local_path(f"models/{MODEL}/promotions/00000003.json")
    assert path is not None
    rollback = PromotionLog(store, MODEL).champion()
    assert rollback is not None
    long_ago = rollback.model_copy(update={"created_at": datetime(2026, 3, 1, tzinfo=UTC)})
    path.write_bytes(long_ago.to_bytes())
    run("release", MODEL, "--reason", "labels repaired")
    line = run("champion", MODEL)[1]
    assert "(generation 4, accuracy 0.86) serves since 2026-03-01 00:00 UTC, by rollback of" in line
    assert ": complaints; " in line
    assert line.endswith(": labels repaired\n")
    assert " released it at 20" in line
    assert "no run promotes" not in line
    told = next(notice for notice in waiting(store) if notice.event == "released")
    assert "(generation 4), since 2026-03-01 00:00 UTC" in told.text
    record = close_run(store, run_ref(5), Outcome.FAILED, "x")
    assert record.serving_since == long_ago.created_at
    plan = json.loads(
        run("rollback", MODEL, "--to", version_name(2), "--reason", "x", "--dry-run", "--json")[1]
    )
    assert plan["serving_since"] == "2026-03-01T00:00:00Z"


def test_a_release_that_nobody_can_be_told_of(store: Store, run: Run) -> None:
    """A model whose YAML is gone is released all the same, and the command says who is not told."""
    Registry(store, MODEL).rollback(version_name(1), actor="ada", reason="complaints")
    code, out, _ = run("release", MODEL, "--reason", "labels repaired")
    assert code == 0
    assert f"No notice was sent: no model '{MODEL}'" in out
    Registry(store, MODEL).rollback(version_name(2), actor="ada", reason="complaints")
    answer = json.loads(run("release", MODEL, "--reason", "labels repaired", "--json")[1])
    assert answer["notice"].startswith("No notice was sent: no model")
    assert (answer["generation"], answer["kind"]) == (6, "release")
    assert PromotionLog(store, MODEL).hold() is None


def test_promote_unjudged(store: Store, run: Run, known: None) -> None:
    """`promote` needs to be told that the champion cannot be judged, and a version that loads."""
    import skops.io
    from sklearn.dummy import DummyClassifier

    model = skops.io.dumps(DummyClassifier(strategy="prior").fit([[0], [1]], [0, 1]))
    lost = {"champion.error": "its files are lost", "champion.scores": None}
    decide(store, plant_run(store, 9, report=lost, model_bytes=model))
    words = ("promote", MODEL, "--version", version_name(9), "--reason", "files are lost")
    assert run(*words)[0] == 2
    code, out, _ = run(*words, "--unjudged-champion")
    assert code == 0
    assert "by unjudged_champion of" in out


def test_promote_unjudged_is_for_a_lost_champion_only(store: Store, run: Run, known: None) -> None:
    """Neither a refusal nor a version that nobody judged is passed over that way."""
    words = ("promote", MODEL, "--unjudged-champion", "--reason", "please")
    unfair = {"champion.error": "lost", "champion.scores": None, "fairness.0.disparate_impact": 0.1}
    decide(store, plant_run(store, 9, report=unfair))
    plant_version(store, 10)
    for number, expected in (
        (3, "fairness race"),  # refused, the champion was scored
        (9, "fairness race"),  # the champion is lost, and the gate said no besides
        (10, "no run judged version"),
    ):
        code, _, err = run(*words, "--version", version_name(number))
        assert code == 1
        assert expected in err
    assert len(json.loads(run("history", MODEL, "--json")[1])) == 2


def test_promote_unjudged_passes_over_no_refusal(store: Store, run: Run, known: None) -> None:
    """A version that lost against the best of the last ten is refused, whatever the champion is."""
    lost = {
        "champion.error": "its files are lost",
        "champion.scores": None,
        "best": deepcopy(GOOD_REPORT["best"]),
        "best.scores.metrics.accuracy": 0.91,
        "best.comparison.difference": -0.05,
        "best.comparison.lower": -0.07,
        "best.comparison.upper": -0.03,
    }
    record = decide(store, plant_run(store, 9, report=lost))
    assert record.outcome is Outcome.CANNOT_JUDGE
    words = ("promote", MODEL, "--unjudged-champion", "--reason", "please", "--version")
    code, _, err = run(*words, version_name(9))
    assert code == 1
    assert "against best of the last ten" in err


def test_promote_unjudged_is_for_what_serves_today(store: Store, run: Run, known: None) -> None:
    """A verdict against a generation that no longer serves is none against today's."""
    lost = {"champion.error": "its files are lost", "champion.scores": None}
    late = decide(store, plant_run(store, 9, report=lost))
    decide(store, plant_run(store, 10))
    words = ("promote", MODEL, "--unjudged-champion", "--reason", "please", "--version")
    code, _, err = run(*words, version_name(9))
    assert code == 1
    assert "was judged against generation 2, and the log is at 3 by now" in err
    assert f"clear run {late.run_id}" in err


def test_promote_unjudged_takes_no_verdict_of_other_code(
    store: Store, run: Run, known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gate that changed since has not judged it, and might refuse it."""
    lost = {"champion.error": "its files are lost", "champion.scores": None}
    earlier = decide(store, plant_run(store, 9, report=lost))
    monkeypatch.setattr("include.retraining.steps.decide.judging_digest", lambda _: "0" * 64)
    words = ("promote", MODEL, "--unjudged-champion", "--reason", "please", "--version")
    code, _, err = run(*words, version_name(9))
    assert code == 1
    assert f"judged by other code than there is here: clear run {earlier.run_id} from" in err


def test_a_reason_is_one_short_line(store: Store, run: Run, known: None) -> None:
    """What a person types is bounded before it is written for ever."""
    for reason in ("x" * 201, "two\nlines"):
        code, _, err = run("rollback", MODEL, "--to", version_name(1), "--reason", reason)
        assert code == 1
        assert "one line of at most 200 characters" in err


@pytest.mark.fault("L02")
def test_a_secret_in_a_reason_is_refused(store: Store, run: Run, known: None) -> None:
    """The log is never edited, so it must not get there: nothing is written and it is not shown."""
    before = PromotionLog(store, MODEL).history()
    code, out, err = run("rollback", MODEL, "--reason", "they know password=hunter22 now")
    assert code == 1
    assert "looks like a secret" in err
    assert "hunter22" not in out + err
    assert PromotionLog(store, MODEL).history() == before


@pytest.mark.fault("M03")
def test_memory_that_a_trial_takes_is_named(
    store: Store, run: Run, known: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that is tried before a rollback and finds no memory may be tried again."""

    def load(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("include.retraining.rollback.smoke_test.load_estimator", load)
    code, _, err = run("try", MODEL, "--version", version_name(1))
    assert code == 75
    assert err.startswith("out of memory: give the step more")
