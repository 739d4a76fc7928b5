"""The command line: what people and jobs type, and what they get."""

from __future__ import annotations

import getpass
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.retraining.__main__ import main
from include.retraining.alerts.notice import Notice
from include.retraining.alerts.outbox import deliver_waiting, waiting
from include.retraining.cli import tables
from include.retraining.decisions.record import Outcome
from include.retraining.decisions.record_files import decision_keys
from include.retraining.history.verify import LogCheck
from include.retraining.registry.promotion import Registry
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.steps.close_run import close_run
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import OPTIONS_VARIABLE, URI_VARIABLE, Store
from tests.support.gate_checks import GOOD_REPORT, STRICT_POLICY
from tests.support.run_factory import (
    CONFIG,
    MODEL,
    decide,
    plant_run,
    plant_version,
    run_ref,
    saved_model,
    version_name,
)

ROOT = Path(__file__).parents[3]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(folder_store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store that the environment names, with a promoted, a refused and a broken run."""
    made = initialise(folder_store.uri, {})
    monkeypatch.setenv(URI_VARIABLE, made.uri)
    monkeypatch.setenv(OPTIONS_VARIABLE, "{}")
    for day in (1, 2):
        decide(made, plant_run(made, day, model_bytes=saved_model()))
    decide(made, plant_run(made, 3, report={"fairness.0.disparate_impact": 0.7123}))
    close_run(made, run_ref(4), Outcome.FAILED, "the trainer was killed", failed_task="train_model")
    deliver_waiting(made, lambda notice: None)  # what these decided was told
    return made


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; return exit code, output and errors."""

    def run_command(*words: str) -> tuple[int, str, str]:
        code = main(words)
        found = capsys.readouterr()
        return code, found.out, found.err

    return run_command


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the planted model be one of the repository's."""
    # Imported before, or the replacement would stay in it for the tests that follow.
    importlib.import_module("include.retraining.cli.config_check")
    monkeypatch.setattr("include.retraining.config.model.load_model", lambda name: CONFIG)


def test_champion(store: Store, run: Run) -> None:
    """`champion` says what serves, since when, by whom and why."""
    code, out, _ = run("champion", MODEL)
    assert code == 0
    assert out.startswith(
        f"{MODEL}: version {version_name(2)} (generation 2, accuracy 0.86) serves since 20"
    )
    assert "by promotion of retrain_toy_model: accuracy is 0.86" in out
    entry = json.loads(run("champion", MODEL, "--json")[1])
    assert (entry["version"], entry["generation"]) == (version_name(2), 2)


def test_history(store: Store, run: Run) -> None:
    """`history` lists every entry."""
    _, out, _ = run("history", MODEL)
    assert out.count("promotion") == 2
    assert version_name(1) in out
    entries = json.loads(run("history", MODEL, "--json")[1])
    assert [entry["generation"] for entry in entries] == [1, 2]


def test_decisions(store: Store, run: Run) -> None:
    """`decisions` lists what the last runs decided, newest first."""
    _, out, _ = run("decisions", MODEL)
    assert [word for word in out.split() if word in {"failed", "rejected", "promoted"}] == [
        "failed",
        "rejected",
        "promoted",
        "promoted",
    ]
    records = json.loads(run("decisions", MODEL, "--json", "--limit", "1")[1])
    assert [record["outcome"] for record in records] == ["failed"]


def test_decisions_of_which_one_is_damaged(store: Store, run: Run) -> None:
    """It takes its place as such, the others are listed, and the exit code says so."""
    key = decision_keys(store, MODEL)[1]
    store.write(key, store.read(key)[:100])
    code, out, _ = run("decisions", MODEL)
    assert code == 1
    assert [word for word in out.split() if word in {"failed", "unreadable", "promoted"}] == [
        "failed",
        "unreadable",
        "promoted",
        "promoted",
    ]
    documents = json.loads(run("decisions", MODEL, "--json")[1])
    assert [document.get("key") for document in documents] == [None, key, None, None]


@pytest.mark.parametrize("by", ["run id", "folder"])
def test_show(store: Store, run: Run, by: str) -> None:
    """`show` takes Airflow's id or the folder's name, and shows gates with value and limit."""
    name = run_ref(3).run_id if by == "run id" else run_ref(3).paths.run
    code, out, _ = run("show", name)
    assert code == 0
    assert "rejected: fairness race" in out
    assert "better than baseline" in out
    assert "0.7123" in out
    assert "not judged" in out
    assert f"Files: {store.uri}/{run_ref(3).paths.folder}" in out
    record = json.loads(run("show", name, "--model", MODEL, "--json")[1])
    assert record["outcome"] == "rejected"


def test_show_what_is_not_decided(store: Store, run: Run) -> None:
    """`show` shows the plan of a run that has not ended, and a run that left only its end."""
    plant_run(store, 5)
    assert "none yet" in run("show", run_ref(5).run_id)[1]
    assert "failed: the trainer was killed" in run("show", run_ref(4).run_id)[1]


def test_show_what_is_not_there(store: Store, run: Run) -> None:
    """An unknown run is one line on standard error and exit code 1."""
    code, out, err = run("show", "manual__nothing")
    assert (code, out) == (1, "")
    assert err == (
        f"no run 'manual__nothing' in {store.uri}; `decisions NAME` lists those that have ended\n"
    )
    assert "of toy_model" in run("show", "manual__nothing", "--model", MODEL)[2]


def test_show_asks_for_the_model(store: Store, run: Run) -> None:
    """When two models have a run of the same id, `show` asks which one is meant."""
    store.write(f"models/other_model/runs/{run_ref(1).paths.run}/manifest.json", b"{}")
    _, _, err = run("show", run_ref(1).run_id)
    assert "add --model, one of other_model, toy_model" in err
    assert run("show", run_ref(1).run_id, "--model", MODEL)[0] == 0


def test_why(store: Store, run: Run) -> None:
    """`why` answers in one sentence."""
    code, out, _ = run("why", MODEL)
    assert code == 0
    assert out.count("\n") == 1
    assert "was not updated by the run of 2026-01-05 06:00 UTC, the run broke: the trainer" in out
    assert "was updated" in run("why", MODEL, "--date", "2026-01-03")[1]
    assert json.loads(run("why", MODEL, "--json")[1])["why"] == out.strip()
    assert run("why", MODEL, "--date", "2027-01-01")[0] == 1


def test_verify(store: Store, run: Run) -> None:
    """`verify` ends with 0 while all is sound, and names what is not."""
    assert run("verify", MODEL) == (0, f"{MODEL}: 2 entries, 2 versions, 4 records: sound\n", "")
    store.write(f"models/{MODEL}/versions/{version_name(1)}/0-1/model.skops", b"x")
    code, out, _ = run("verify", MODEL)
    assert code == 1
    assert f"version {version_name(1)}: " in out
    assert out.endswith(f"{MODEL}: 2 entries, 2 versions, 4 records: 1 problem\n")
    assert json.loads(run("verify", MODEL, "--json")[1])["problems"]


def test_one_is_counted_in_the_singular():
    """A log with one entry is not told as `1 entries`."""
    one = LogCheck(MODEL, None, 1, 1, 1, ("broken",))
    assert list(tables.check(one))[1:] == [f"{MODEL}: 1 entry, 1 version, 1 record: 1 problem"]


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
    assert f"Nobody is told: no model '{MODEL}'" in out
    Registry(store, MODEL).rollback(version_name(2), actor="ada", reason="complaints")
    answer = json.loads(run("release", MODEL, "--reason", "labels repaired", "--json")[1])
    assert answer["told"].startswith("Nobody is told: no model")
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
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2
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
    monkeypatch.setattr("include.retraining.steps.decide.judging_digest", lambda: "0" * 64)
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


def test_a_secret_in_a_reason_is_shown_to_nobody(store: Store, run: Run, known: None) -> None:
    """Whatever is kept in the store, no command prints what looks like a secret."""
    entry = PromotionLog(store, MODEL).history()[-1]
    told = "it was paid with password=hunter22 of https://hooks.slack.com/services/T0/B0/abc"
    store.write(
        f"models/{MODEL}/promotions/00000002.json",
        entry.model_copy(update={"reason": told}).to_bytes(),
    )
    for words in (["champion"], ["history"], ["champion", "--json"], ["history", "--json"]):
        code, out, _ = run(words[0], MODEL, *words[1:])
        assert code == 0
        assert "hunter22" not in out
        assert "T0/B0" not in out
        assert "password=***" in out
        if "--json" in words:
            json.loads(out)


def test_gate_replay(store: Store, run: Run, known: None, tmp_path: Path) -> None:
    """`gate-replay` says which decisions would flip under other rules."""
    policy = tmp_path / "new.yaml"
    policy.write_text(yaml.safe_dump({"gates": STRICT_POLICY | {"fairness": []}}))
    code, out, _ = run("gate-replay", MODEL, "--policy", str(policy))
    assert code == 0
    assert out.endswith("1 of 3 decisions would flip\n")
    replayed = json.loads(run("gate-replay", MODEL, "--policy", str(policy), "--json")[1])
    assert [(item["before"], item["after"]) for item in replayed] == [
        ("fail", "pass"),
        ("pass", "pass"),
        ("pass", "pass"),
    ]
    policy.write_text("gates: {metric: goodness}")
    code, _, err = run("gate-replay", MODEL, "--policy", str(policy))
    assert code == 1
    assert f"{policy}: gates: 'goodness' is not a metric" in err
    assert "cannot be read" in run("gate-replay", MODEL, "--policy", "nowhere.yaml")[2]


def test_gc(store: Store, run: Run) -> None:
    """`gc` only says what may go; with --delete it goes."""
    path = store.local_path(f"models/{MODEL}/versions/0123456789abcdef/0-1/model.skops")
    assert path is not None
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half")
    os.utime(path, (1, 1))
    _, out, _ = run("gc")
    assert "an unfinished attempt" in out
    assert "1 objects (0.0 MB) may go; --delete removes them" in out
    assert path.exists()
    assert "1 objects (0.0 MB) were removed" in run("gc", MODEL, "--delete")[1]
    assert not path.exists()
    assert json.loads(run("gc", "--json")[1]) == []
    with pytest.raises(SystemExit) as ended:
        run("gc", "--keep", "0")
    assert ended.value.code == 2


def test_init(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` makes a store where it is told to, and needs to be told."""
    monkeypatch.delenv(URI_VARIABLE, raising=False)
    assert "name the place" in run("init")[2]
    uri = f"file://{tmp_path}/new"
    assert run("init", "--store", uri) == (0, f"{uri} is a store\n", "")
    monkeypatch.setenv(URI_VARIABLE, uri)
    assert run("init")[0] == 0
    assert json.loads(run("init", "--json")[1]) == {"store": uri}


def test_a_place_that_is_no_store(run: Run, tmp_path: Path) -> None:
    """Every command refuses a place that was not initialised, and says what to do."""
    for words in (("champion", MODEL), ("gc",), ("show", "x"), ("why", MODEL)):
        code, out, err = run(*words, "--store", f"file://{tmp_path}")
        assert (code, out) == (1, "")
        assert "is not a store" in err
        assert "python -m include.retraining init" in err


def test_a_slip_in_a_models_name(store: Store, run: Run) -> None:
    """A name of which nothing is known is an error that names the nearest model."""
    code, _, err = run("champion", "loan_aproval")
    assert code == 1
    assert "did you mean 'loan_approval'?" in err
    assert run("champion", "loan_approval")[1] == "loan_approval: nothing serves yet\n"
    assert run("champion", "loan_approval", "--json")[1] == "null\n"


def test_validate_config(run: Run, tmp_path: Path) -> None:
    """`validate-config` checks every model, or the files it is given, and names every mistake."""
    code, out, _ = run("validate-config")
    assert code == 0
    assert "loan_approval.yaml: valid" in out
    code, out, _ = run("validate-config", "loan_approval")
    assert (code, out) == (0, "include/models/loan_approval.yaml: valid\n")
    code, _, err = run("validate-config", "loan_aproval")
    assert (code, "did you mean 'loan_approval'?" in err) == (1, True)
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(yaml.safe_dump(CONFIG.model_dump(mode="json")))
    assert run("validate-config", str(good))[0] == 0
    bad.write_text("title: x")
    torn = tmp_path / "torn.yaml"
    torn.write_text("title: [")
    code, out, err = run("validate-config", str(torn), str(good), str(bad))
    assert (code, out) == (1, "")
    assert f"{torn}: not readable as YAML" in err
    assert f"{bad}: owner: is missing\n" in err
    assert f"{bad}: gates: is missing\n" in err
    assert json.loads(run("validate-config", str(good), "--json")[1])["valid"] == [str(good)]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["unknown"],
        ["champion"],
        ["rollback", MODEL, "--to", "x"],
        ["why", MODEL, "--date", "yesterday"],
        ["decisions", MODEL, "--limit", "-1"],
        ["train"],
        ["train", "--run", "x", "--force"],
    ],
)
def test_wrong_usage(words: list[str], run: Run) -> None:
    """Wrong usage ends with exit code 2 and a usage line."""
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["why", MODEL, "--date", "x"], "--date: must be a day such as 2026-01-31, is 'x'"),
        (["decisions", MODEL, "--limit", "abc"], "--limit: must be a whole number, 1 or more"),
        (["gc", "--keep", "0"], "--keep: must be a whole number, 1 or more, is '0'"),
    ],
)
def test_what_may_be_typed_is_said(
    words: list[str], text: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """A slip is answered with what is allowed, not with the name of a function."""
    with pytest.raises(SystemExit):
        run(*words)
    assert text in capsys.readouterr().err


def start(*words: str, **keywords: Any) -> subprocess.Popen[str]:
    """Start the command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "include.retraining", *words],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **keywords,
    )


@pytest.mark.parametrize("words", [["history"], ["history", "--json"], ["why"]])
def test_a_reader_that_has_seen_enough(store: Store, words: list[str]) -> None:
    """A pipe that is closed, as by `| head -1`, is no failure and leaves nothing on the screen."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "include.retraining", words[0], MODEL, *words[1:]],
        cwd=ROOT,
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(write)
    assert (process.returncode, process.stderr) == (0, b"")


def test_a_step_of_a_run_that_is_not_there(store: Store) -> None:
    """A job's step ends with 1 and one line when its run was never planned."""
    uri = f"{store.uri}/models/{MODEL}/runs/20260101T000000-x-01234567"
    process = start("train", "--run", uri, "--attempt", "0-1")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "never planned" in err
    assert err.count("\n") == 1


HEAVY = ("pandas", "numpy", "sklearn", "pandera", "pyarrow", "skops", "matplotlib", "fairlearn")
LIGHT_COMMANDS = (
    f"['champion', '{MODEL}']",
    f"['why', '{MODEL}']",
    f"['verify', '{MODEL}']",
    "['gc']",
)


@pytest.mark.parametrize("words", LIGHT_COMMANDS)
def test_a_question_imports_nothing_heavy(store: Store, words: str) -> None:
    """Asking costs no import of a numeric library, and none of rich where a line is printed."""
    script = (
        "import sys\n"
        "from include.retraining.__main__ import main\n"
        f"assert main({words}) == 0\n"
        f"print([name for name in {(*HEAVY, 'rich', 'airflow')} if name in sys.modules])\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert found.stdout.endswith("\n[]\n")


def test_a_job_that_watches_its_parent_ends_with_it(store: Store) -> None:
    """With --watch-parent a job ends when its standard input is closed, whatever it is doing."""
    script = (
        "import sys, time\n"
        "from include.retraining.steps import runner\n"
        "def run_steps(*arguments):\n"
        "    print('busy', flush=True)\n"
        "    time.sleep(600)\n"
        "runner.run_steps = run_steps\n"
        "from include.retraining.__main__ import main\n"
        "sys.exit(main(['train', '--run', 'x', '--watch-parent']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "busy\n"
    process.stdin.close()
    assert process.wait(timeout=60) == -9
    process.stdout.close()
    assert process.stderr is not None
    assert "the parent process is gone" in process.stderr.read()
    process.stderr.close()


def test_release(store: Store, run: Run, known: None) -> None:
    """`release` ends the hold of a rollback, once, with a reason; what serves stays."""
    run("rollback", MODEL, "--to", version_name(1), "--reason", "complaints")
    code, out, _ = run("release", MODEL, "--reason", "labels repaired")
    assert code == 0
    assert version_name(1) in out
    assert "Slack is told by the next pass" in out
    assert sorted(notice.event for notice in waiting(store)) == ["released", "rolled_back"]
    assert PromotionLog(store, MODEL).hold() is None
    code, _, err = run("release", MODEL, "--reason", "again")
    assert code == 1
    assert "nothing is on hold" in err


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
