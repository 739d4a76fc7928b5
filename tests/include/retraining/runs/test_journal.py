"""Runs that the watch looks at: those that began, whatever became of them."""

from __future__ import annotations

from include.retraining.decisions.record import Outcome
from include.retraining.runs.journal import plans_of, record_run_start, runs_to_check
from include.retraining.steps.close_run import close_run
from include.retraining.store.object_store import Store
from include.retraining.watch.heartbeat import last_heartbeat, write_heartbeat
from include.retraining.watch.late import has_decided
from tests.support.run_factory import MODEL, plant_run, run_ref

AIRFLOW = "http://localhost:8080"


def test_a_run_that_only_began_is_looked_at(store: Store) -> None:
    """It was killed while it waited for its data; noting it twice is noting it once."""
    for _ in range(2):
        record_run_start(store, run_ref(1), airflow=AIRFLOW)
    assert list(runs_to_check(store, MODEL)) == [(run_ref(1), AIRFLOW)]
    assert not has_decided(store, run_ref(1).paths)


def test_a_planned_run_is_looked_at_though_nobody_noted_it(store: Store) -> None:
    """Its manifest says which run it is."""
    plant_run(store, 1, version=False, evaluated=False)
    ((run, airflow),) = runs_to_check(store, MODEL)
    assert (run.run_id, airflow) == ("scheduled__1", None)


def test_old_runs_are_looked_at_until_they_have_a_record(store: Store) -> None:
    """The newest are looked at with one too: a person may clear them."""
    for number in (1, 2, 3):
        record_run_start(store, run_ref(number), airflow=AIRFLOW)
    assert len(list(runs_to_check(store, MODEL, newest=1))) == 3
    for number in (1, 3):
        close_run(store, run_ref(number), Outcome.FAILED, "it broke")
    left = [run.run_id for run, _ in runs_to_check(store, MODEL, newest=1)]
    assert left == ["scheduled__3", "scheduled__2"]
    assert has_decided(store, run_ref(1).paths)


def test_an_old_run_that_was_cleared_is_looked_at_until_that_clear_has_a_record(
    store: Store,
) -> None:
    """However many runs came since: its first record says nothing of what began again."""
    for number in (1, 2, 3):
        record_run_start(store, run_ref(number), airflow=AIRFLOW)
        close_run(store, run_ref(number), Outcome.FAILED, "it broke")
    for clear in (1, 2):
        record_run_start(store, run_ref(1, clear=clear), airflow=AIRFLOW)
    seen = [(run.run_id, run.clear) for run, _ in runs_to_check(store, MODEL, newest=1)]
    assert seen == [("scheduled__3", 0), ("scheduled__1", 2)]
    for clear in (1, 2):
        close_run(store, run_ref(1, clear=clear), Outcome.FAILED, "it broke again")
    assert [run.run_id for run, _ in runs_to_check(store, MODEL, newest=1)] == ["scheduled__3"]


def test_a_damaged_note_hides_no_other_run(store: Store) -> None:
    """What cannot be read is left out."""
    record_run_start(store, run_ref(1), airflow=AIRFLOW)
    store.write(run_ref(2).paths.begun, b"{")
    assert [run.run_id for run, _ in runs_to_check(store, MODEL)] == ["scheduled__1"]


def test_every_plan_of_a_run_is_known(store: Store) -> None:
    """A run that was planned again has two folders, and jobs may be left in both."""
    paths = run_ref(1).paths
    assert plans_of(store, run_ref(1)) == [paths]
    store.write(paths.next_plan().manifest, b"{}")
    assert plans_of(store, run_ref(1)) == [paths, paths.next_plan()]


def test_the_mark_says_what_failed(store: Store) -> None:
    """The last one counts."""
    assert last_heartbeat(store) is None
    write_heartbeat(store, [])
    write_heartbeat(store, ["check_models"])
    mark = last_heartbeat(store)
    assert mark is not None
    assert mark.failed == ("check_models",)
