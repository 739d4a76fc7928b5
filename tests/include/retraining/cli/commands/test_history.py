"""The commands that read: what is asked of a store, and the answers."""

from __future__ import annotations

import json

import pytest

from include.retraining.cli import tables
from include.retraining.decisions.record_files import decision_keys
from include.retraining.history.verify import LogCheck
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.object_store import Store
from tests.support.command_line import Run
from tests.support.run_factory import (
    MODEL,
    plant_run,
    run_ref,
    version_name,
)


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


def test_a_slip_in_a_models_name(store: Store, run: Run) -> None:
    """A name of which nothing is known is an error that names the nearest model."""
    code, _, err = run("champion", "loan_aproval")
    assert code == 1
    assert "did you mean 'loan_approval'?" in err
    assert run("champion", "loan_approval")[1] == "loan_approval: nothing serves yet\n"
    assert run("champion", "loan_approval", "--json")[1] == "null\n"


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


def test_an_error_is_shown_as_one(store: Store) -> None:
    """A negated score is an error for who reads it: named so, and positive."""
    entry = PromotionLog(store, MODEL).entry(2)
    error = entry.model_copy(update={"metric": "neg_brier_score", "value": -0.12})
    assert "(generation 2, brier score 0.12)" in tables.champion_line(error, error)
    columns = tables.entries([error]).columns
    cells = {str(column.header): list(column.cells) for column in columns}
    assert (cells["metric"], cells["value"]) == (["brier score"], ["0.12"])
