"""What the watch reads of the runs: those that began since, whatever ever was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.backends.stop import Stopped
from include.orchestration.watch import ended_runs, follow_jobs, follow_runs
from include.orchestration.watch.follow_runs import WITH_LOGICAL_DATE, close_dead_runs
from include.retraining.decisions.record import Outcome
from include.retraining.decisions.records import find_decision
from include.retraining.exceptions import RetrainingError, StorageError
from include.retraining.runs.journal import follow_jobs as mark_jobs
from include.retraining.runs.journal import open_runs, record_run_start
from include.retraining.steps.close_run import close_run
from include.retraining.store.layout import OPEN_JOBS, WATCHED_RUNS
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import Store
from include.retraining.watch.progress import FULL_CHECK, WatchedRuns, read_runs
from tests.support.contexts import MakeContext
from tests.support.counting_store import CountingStore
from tests.support.run_factory import MODEL, run_ref
from tests.support.watched_airflow import Airflow, begin


@pytest.fixture
def counted(folder_store: Store) -> CountingStore:
    """An initialised store on a folder that counts what it is asked."""
    return CountingStore(initialise(folder_store.uri, {}).uri)


def decided(store: Store, airflow: Airflow, number: int) -> str:
    """Let a run begin, decide and end, and return its id."""
    run = begin(store, airflow, run_ref(number))
    close_run(store, run, Outcome.NO_CHANGE, "nothing changed")
    airflow.scheduled.insert(0, run.run_id)
    return run.run_id


def test_a_pass_costs_the_same_however_many_runs_there_were(
    counted: CountingStore, airflow: Airflow, context: MakeContext
) -> None:
    """Two requests for all models together, and one question to Airflow for each model."""
    costs = []
    for last in (3, 40):
        for number in range(last - 2, last + 1):
            decided(counted, airflow, number)
        for _ in range(2):
            counted.counts.clear()
            airflow.asked = 0
            assert close_dead_runs(counted, context(), [MODEL]) == []
        costs.append((dict(counted.counts), airflow.asked))
    resume = 2  # where the pass before ended, once for the markers and once for the models
    assert costs == [({"GET": 1 + resume, "LIST": 1}, 1)] * 2


def test_a_marker_stays_until_its_run_has_a_record(
    store: Store, slack: SlackReceiver, airflow: Airflow, context: MakeContext
) -> None:
    """A run that goes on is followed in each pass, and asked about no more once it is closed."""
    run = begin(store, airflow, run_ref(1))
    airflow.running.add(run.run_id)
    for _ in range(2):
        assert close_dead_runs(store, context(), [MODEL]) == []
        assert [marker.run for marker in open_runs(store)] == [run.paths.run]
    airflow.running.clear()
    assert close_dead_runs(store, context(), [MODEL]) == [run.run_id]
    assert open_runs(store) == []
    assert read_runs(store).models[MODEL].newest == run.paths.decision(0)


def test_a_clear_has_a_marker_of_its_own(
    store: Store, slack: SlackReceiver, airflow: Airflow, context: MakeContext
) -> None:
    """What is removed of the clear before takes nothing from it."""
    first, again = run_ref(1), run_ref(1, clear=1)
    close_run(store, begin(store, airflow, first), Outcome.FAILED, "it broke")
    begin(store, airflow, again)
    airflow.running.add(again.run_id)
    assert close_dead_runs(store, context(), [MODEL]) == []
    assert [marker.clear for marker in open_runs(store)] == [1]


def test_a_run_that_was_cleared_before_it_decided_leaves_no_marker(
    store: Store, slack: SlackReceiver, airflow: Airflow, context: MakeContext
) -> None:
    """Its later clear is the one that is closed."""
    run = begin(store, airflow, run_ref(1))
    airflow.runs[run.run_id] = replace(run, clear=2)
    assert close_dead_runs(store, context(), [MODEL]) == [run.run_id]
    assert find_decision(store, replace(run, clear=2)) is not None
    assert open_runs(store) == []


def test_a_run_of_another_airflow_is_left_to_it(
    store: Store, airflow: Airflow, context: MakeContext
) -> None:
    """That this one does not know the run says nothing."""
    record_run_start(store, run_ref(1), airflow="http://elsewhere")
    assert close_dead_runs(store, context(), [MODEL]) == []
    assert len(open_runs(store)) == 1


def test_a_run_of_before_there_were_markers_is_found_and_followed(
    store: Store, slack: SlackReceiver, airflow: Airflow, context: MakeContext
) -> None:
    """The first pass checks every run of a model, and each gets its marker."""
    for number in (1, 2):
        begin(store, airflow, run_ref(number))
    for marker in open_runs(store):
        store.delete(marker.key)
    airflow.running.add("scheduled__1")
    assert close_dead_runs(store, context(), [MODEL]) == ["scheduled__2"]
    assert [marker.run for marker in open_runs(store)] == [run_ref(1).paths.run]
    airflow.running.clear()
    assert close_dead_runs(store, context(), [MODEL]) == ["scheduled__1"]


@pytest.mark.parametrize("damage", [b"{", None])
def test_what_the_watch_knows_may_be_lost(
    store: Store, slack: SlackReceiver, airflow: Airflow, context: MakeContext, damage: bytes | None
) -> None:
    """Damaged or gone, it is made anew by a check of all runs."""
    decided(store, airflow, 1)
    assert close_dead_runs(store, context(), [MODEL]) == []
    known = store.read(WATCHED_RUNS)
    store.delete(WATCHED_RUNS) if damage is None else store.write(WATCHED_RUNS, damage)
    begin(store, airflow, run_ref(2))
    for marker in open_runs(store):
        store.delete(marker.key)
    assert close_dead_runs(store, context(), [MODEL]) == ["scheduled__2"]
    assert read_runs(store).models.keys() == {MODEL}
    assert store.read(WATCHED_RUNS) != known


def test_a_run_that_ended_before_it_began_is_closed_once(
    store: Store, slack: SlackReceiver, airflow: Airflow, context: MakeContext
) -> None:
    """Only Airflow knows of it; the run before it, that goes on, hides nothing."""
    first, second = run_ref(1), run_ref(2)
    airflow.runs |= {first.run_id: first, second.run_id: second}
    airflow.scheduled = [second.run_id, first.run_id]
    airflow.running.add(second.run_id)
    assert close_dead_runs(store, context(), [MODEL]) == [first.run_id]
    airflow.running.clear()
    assert close_dead_runs(store, context(), [MODEL]) == [second.run_id]
    airflow.asked = 0
    assert close_dead_runs(store, context(), [MODEL]) == []
    assert airflow.asked == 1


def test_all_runs_since_the_known_one_are_closed_however_many_never_began(
    store: Store, slack: SlackReceiver, airflow: Airflow, context: MakeContext
) -> None:
    """After an outage of hours there are more than are checked otherwise."""
    decided(store, airflow, 1)
    assert close_dead_runs(store, context(), [MODEL]) == []
    lost = [run_ref(number) for number in range(2, 2 + 2 * WITH_LOGICAL_DATE)]
    for run in lost:
        airflow.runs[run.run_id] = run
        airflow.scheduled.insert(0, run.run_id)
    assert set(close_dead_runs(store, context(), [MODEL])) == {run.run_id for run in lost}
    airflow.asked = 0
    assert close_dead_runs(store, context(), [MODEL]) == []
    assert airflow.asked == 1


def test_a_run_behind_the_newest_that_never_began_is_found_by_the_full_check(
    store: Store,
    slack: SlackReceiver,
    airflow: Airflow,
    context: MakeContext,
) -> None:
    """A backfill for a day before the newest run, ended before its first task: within a day."""
    decided(store, airflow, 5)
    assert close_dead_runs(store, context(), [MODEL]) == []
    backfill = run_ref(4)
    airflow.runs[backfill.run_id] = backfill
    airflow.scheduled.append(backfill.run_id)
    assert close_dead_runs(store, context(), [MODEL]) == []
    known = read_runs(store).models[MODEL]
    assert known.checked_at is not None
    old = known.model_copy(update={"checked_at": known.checked_at - FULL_CHECK})
    store.write(WATCHED_RUNS, WatchedRuns(models={MODEL: old}).to_bytes())
    assert close_dead_runs(store, context(), [MODEL]) == [backfill.run_id]


def test_one_run_that_cannot_be_closed_holds_no_other_back(
    store: Store,
    slack: SlackReceiver,
    airflow: Airflow,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The pass fails with its reason, and the next one tries it again."""
    for number in (1, 2, 3):
        begin(store, airflow, run_ref(number))
    close = follow_runs.close_dead_run

    def refuse(store: Store, ended: ended_runs.EndedRun, context: Any) -> bool:
        if ended.run.run_id == "scheduled__2":
            raise StorageError("not today")
        return close(store, ended, context)

    monkeypatch.setattr(follow_runs, "close_dead_run", refuse)
    with pytest.raises(RetrainingError, match="not today"):
        close_dead_runs(store, context(), [MODEL])
    assert [marker.run for marker in open_runs(store)] == [run_ref(2).paths.run]
    monkeypatch.undo()
    monkeypatch.setattr(ended_runs, "find_run", airflow.find)
    monkeypatch.setattr(follow_runs, "newest_runs", airflow.newest)
    assert close_dead_runs(store, context(), [MODEL]) == ["scheduled__2"]


def test_jobs_of_a_run_that_ended_are_stopped_by_their_marker(
    store: Store,
    slack: SlackReceiver,
    airflow: Airflow,
    context: MakeContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not while it goes on, nor again once they were; what a platform refuses is tried again."""
    run = begin(store, airflow, run_ref(1))
    mark_jobs(store, run.paths, 0)
    store.create(run.paths.job(1), b"{}")
    answers = [Stopped([], ["job-1: busy"]), Stopped(["job-1"], [])]
    monkeypatch.setattr(ended_runs, "stop_jobs", lambda *_, **__: answers.pop(0))
    airflow.running.add(run.run_id)
    assert follow_jobs.stop_lost_jobs(store, context()) == []
    airflow.running.clear()
    with pytest.raises(RetrainingError, match="job-1: busy"):
        follow_jobs.stop_lost_jobs(store, context())
    assert len(open_runs(store, OPEN_JOBS)) == 1
    assert [follow_jobs.stop_lost_jobs(store, context()) for _ in range(2)] == [["job-1"], []]
    assert open_runs(store, OPEN_JOBS) == []


def test_a_claim_of_before_there_were_markers_is_followed(
    store: Store, airflow: Airflow, context: MakeContext
) -> None:
    """The check of all runs gives its run a marker."""
    run = begin(store, airflow, run_ref(1))
    airflow.running.add(run.run_id)
    store.create(run.paths.job(1), b"{}")
    assert close_dead_runs(store, context(), [MODEL]) == []
    assert [marker.run for marker in open_runs(store, OPEN_JOBS)] == [run.paths.run]
