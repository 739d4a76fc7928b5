"""Keys to forget: their rows reach no training and no holdout, and the record says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from include.retraining.config.model_code import load_model_code
from include.retraining.data.forget_list import ForgetRequest, key_hashes_in_hex, pin_forget_list
from include.retraining.data.split import holdout_mask
from include.retraining.decisions.gathering import gather
from include.retraining.decisions.record import Outcome
from include.retraining.documents import sha256_of
from include.retraining.evaluation.holdout import read_holdout
from include.retraining.exceptions import DataRejected, EvidenceError
from include.retraining.privacy.forget import forget
from include.retraining.privacy.who_saw import who_saw
from include.retraining.registry.versions import read_version
from include.retraining.runs.manifest import TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.store.layout import forget_key
from include.retraining.store.object_store import Store
from tests.support.toy_models import Toy, make_frame

MakeToy = Callable[..., Toy]


def sides(toy: Toy, frame: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the keys of the training part and of the holdout, as texts."""
    mask = holdout_mask(frame, toy.config)
    return [*frame["id"][~mask].astype(str)], [*frame["id"][mask].astype(str)]


def ask(toy: Toy, *keys: str) -> ForgetRequest:
    """Have keys forgotten."""
    return forget(toy.store, toy.name, keys, actor="ada", reason="asked to")


@pytest.mark.parametrize("as_csv", [True, False])
def test_forgotten_rows_reach_no_fit_and_no_holdout(
    make_toy: MakeToy, monkeypatch: pytest.MonkeyPatch, as_csv: bool
) -> None:
    """Neither the estimator nor the scoring is given a row of them, in whichever format."""
    toy, frame = make_toy(), make_frame("binary")
    toy.deliver(frame, as_csv=as_csv)
    trained, held_out = sides(toy, frame)
    ask(toy, trained[0], held_out[0])
    fitted: list[Any] = []
    fit = LogisticRegression.fit

    def spy(self: LogisticRegression, rows: pd.DataFrame, labels: Any) -> Any:
        fitted.append(rows["a"].tolist())
        return fit(self, rows, labels)

    monkeypatch.setattr(LogisticRegression, "fit", spy)
    job = toy.plan()
    toy.train(job)
    expected = frame[frame["id"].astype(str).isin(trained[1:])]
    assert fitted[0] == expected["a"].tolist()
    holdout = read_holdout(toy.store, job.manifest, toy.config, load_model_code(toy.config))
    assert [str(key) for key in holdout.keys] == held_out[1:]
    assert len(holdout.train_labels) == len(trained) - 1


def test_a_training_without_them_is_another_version(make_toy: MakeToy) -> None:
    """The same data with a new request is trained again, and without one it is not."""
    toy, frame = make_toy(), make_frame("binary")
    toy.deliver(frame)
    before = toy.plan().manifest
    assert toy.plan().manifest.version == before.version
    ask(toy, sides(toy, frame)[0][0])
    after = toy.plan().manifest
    assert before.forget is None
    assert after.version != before.version
    assert after.forget == pin_forget_list(toy.store, toy.name)


def test_the_version_and_the_record_prove_it(make_toy: MakeToy) -> None:
    """They hold the digest of the list and how many rows were left out; `who-saw` says no."""
    toy, frame = make_toy(), make_frame("binary")
    toy.deliver(frame)
    trained, held_out = sides(toy, frame)
    ask(toy, trained[0], held_out[0], "999999")
    job, _ = toy.run()
    forgotten = read_version(toy.store, toy.name, job.manifest.version).forgotten
    assert forgotten is not None
    assert (forgotten.rows, forgotten.pinned) == (2, job.manifest.forget)
    assert forgotten.pinned.keys == 3
    run = RunRef(
        model=toy.name,
        dag_id=job.manifest.dag_id,
        run_id=job.manifest.run_id,
        run_after=job.manifest.run_after,
        clear=0,
        cause=TriggeredBy(run_type="manual"),
    )
    assert gather(toy.store, run, Outcome.FAILED, "for the test").forgotten == forgotten
    for key in (trained[0], held_out[0]):
        assert who_saw(toy.store, [toy.name], key).sightings == []


def test_a_request_holds_no_key(make_toy: MakeToy) -> None:
    """It holds hashes, one for 12 and "12", and is numbered after the one before."""
    toy = make_toy()
    assert [ask(toy, "secret-key").number, ask(toy, "12", "12").number] == [1, 2]
    assert b"secret-key" not in toy.store.read(forget_key(toy.name, 1))
    second = toy.store.read(forget_key(toy.name, 2))
    request = ForgetRequest.from_bytes(second, where="second")
    assert request.keys == key_hashes_in_hex(pd.Series([12]))


def test_requests_in_a_folder_and_in_a_bucket(any_store: Store) -> None:
    """A run pins the keys of all requests, each key once, wherever the store is."""
    assert pin_forget_list(any_store, "toy") is None
    for keys in (["12", "13"], ["13", "14"]):
        forget(any_store, "toy", keys, actor="ada", reason="asked to")
    pinned = pin_forget_list(any_store, "toy")
    assert pinned is not None
    assert (pinned.requests, pinned.keys) == (2, 3)


@pytest.mark.fault("N08")
@pytest.mark.parametrize("how", ["removed", "emptied"])
def test_requests_that_were_altered(make_toy: MakeToy, how: str) -> None:
    """A run trains by the list that it pinned or not at all (N08)."""
    toy, frame = make_toy(), make_frame("binary")
    toy.deliver(frame)
    request = ask(toy, sides(toy, frame)[0][0])
    job = toy.plan()
    key = forget_key(toy.name, 1)
    if how == "removed":
        toy.store.delete(key)
    else:
        other = request.model_copy(update={"keys": (sha256_of(b"")[:16],)})
        toy.store.write(key, other.to_bytes())
    with pytest.raises(EvidenceError, match=r"request is never removed|were altered"):
        toy.train(job)


def test_a_list_of_every_row(make_toy: MakeToy) -> None:
    """A delivery of which nothing is left to train on is refused."""
    toy, frame = make_toy(), make_frame("binary")
    toy.deliver(frame)
    ask(toy, *sides(toy, frame)[0])
    with pytest.raises(DataRejected, match="leave no training rows"):
        toy.train(toy.plan())


def test_a_split_by_time_ends_at_a_row_that_was_trained_on(make_toy: MakeToy) -> None:
    """The manifest's last day is that of the rows that are left."""
    split = {"by": "time", "column": "day", "holdout_days": 10}
    toy, frame = make_toy(data={"split": split}), make_frame("binary")
    toy.deliver(frame)
    mask = holdout_mask(frame, toy.config)
    last = frame["day"][~mask].max()
    ask(toy, *frame["id"][~mask & (frame["day"] == last)].astype(str))
    job, _ = toy.run()
    until = read_version(toy.store, toy.name, job.manifest.version).split.train_until
    assert until is not None
    assert until.date().isoformat() < last
