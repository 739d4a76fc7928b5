"""Tests of runs that an event or the clock behind it woke: the flag decides, and nothing twice."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowException, TaskDeferred

from include.local_airflow.demo import samples
from include.orchestration.operators import run_tasks
from include.orchestration.operators.wait_for_data import FlagSensor
from include.orchestration.trigger_forms.run_form import read_params
from include.retraining.config.events import Events
from include.retraining.config.model import ModelConfig, load_model
from include.retraining.data.delivery import inspect_delivery
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.records import decisions
from include.retraining.fingerprint.pinned import Flag
from include.retraining.runs.manifest import Params, TriggeredBy
from include.retraining.runs.reference import RunRef
from include.retraining.steps.close_run import close_run
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext
from tests.support.run_callbacks import run_in

NAME = "diabetes_progression"
DAY = datetime.now(UTC).date()


def model(*, events: bool = True, **trigger: Any) -> ModelConfig:
    """The model that ships, started by its deliveries."""
    config = load_model(NAME)
    on = Events(delivery=True) if events else None
    update = {"on": on, "poke_seconds": 0.2, **trigger}
    return config.model_copy(update={"trigger": config.trigger.model_copy(update=update)})


@pytest.fixture
def flag(store: Store) -> Flag:
    """The flag of a complete delivery."""
    samples.land(store, NAME)
    found = inspect_delivery(store, model(), DAY, consumed=None).flag
    assert found is not None
    return found


def decide(
    store: Store, flag: Flag, outcome: Outcome, run_id: str = "earlier", *, dry_run: bool = False
) -> DecisionRecord:
    """Decide on a flag, as a run of before."""
    run = RunRef(
        model=NAME,
        dag_id=f"retrain_{NAME}",
        run_id=run_id,
        run_after=datetime(2026, 11, 20, tzinfo=UTC) + timedelta(seconds=len(run_id)),
        clear=0,
        cause=TriggeredBy(run_type="asset_triggered"),
    )
    params = Params(date=DAY, dry_run=dry_run)
    return close_run(store, run, outcome, "because", flag=flag, params=params)


def woken(context: MakeContext, run_type: str, **fields: Any) -> dict[str, Any]:
    """The context of a run that something started."""
    made: dict[str, Any] = context(run_id=f"{run_type}__2026-11-24T06:00:00+00:00")
    for name, value in {"run_type": run_type, **fields}.items():
        setattr(made["dag_run"], name, value)
    return made


def waits(config: ModelConfig, context: dict[str, Any]) -> bool:
    """Whether the sensor waits for something more."""
    try:
        FlagSensor(task_id="wait_for_data", config=config).execute(context)
    except TaskDeferred:
        return True
    return False


def record_of(store: Store, context: dict[str, Any]) -> DecisionRecord | None:
    """The run's record."""
    same = (one for one in decisions(store, NAME) if one.run_id == context["run_id"])
    return next(same, None)


@pytest.mark.fault("A17")
@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.CANNOT_JUDGE, Outcome.DATA_REJECTED])
def test_a_doubled_event_changes_nothing(
    store: Store, context: MakeContext, flag: Flag, outcome: Outcome
) -> None:
    """Its run does not wait, pins nothing, trains nothing, and says which run decided."""
    decide(store, flag, outcome)
    again = woken(context, "asset_triggered")
    assert not waits(model(), again)
    assert run_in(again, run_tasks.plan_run, model()) is False
    record = record_of(store, again)
    assert record is not None
    assert (record.outcome, record.delivery) == (Outcome.NO_CHANGE, None)
    assert record.reason == "ready.flag is the one that run earlier decided on: because"


def test_a_new_flag_is_planned(store: Store, context: MakeContext, flag: Flag) -> None:
    """An event for what nobody decided on has something to train."""
    first = woken(context, "asset_triggered")
    assert not waits(model(), first)
    assert run_in(first, run_tasks.plan_run, model()) is True


def test_a_dry_run_and_a_run_without_a_decision_use_up_no_flag(
    store: Store, context: MakeContext, flag: Flag
) -> None:
    """The event's run decides."""
    decide(store, flag, Outcome.REJECTED, "dry", dry_run=True)
    decide(store, flag, Outcome.FAILED, "killed")
    decide(store, flag, Outcome.NO_CHANGE, "unchanged")
    assert run_in(woken(context, "asset_triggered"), run_tasks.plan_run, model()) is True


def test_a_run_that_is_cleared_decides_again(
    store: Store, context: MakeContext, flag: Flag
) -> None:
    """What the run itself decided is no answer, nor what a doubled event made of that."""
    cleared = woken(context, "asset_triggered")
    decide(store, flag, Outcome.REJECTED, cleared["run_id"])
    decide(store, flag, Outcome.NO_CHANGE, "a doubled event")
    cleared["dag_run"].clear_number = 1
    assert not waits(model(), cleared)
    assert run_in(cleared, run_tasks.plan_run, model()) is True


def test_an_event_waits_for_what_is_not_complete(store: Store, context: MakeContext) -> None:
    """The data, or the flag itself, may come after the event of another DAG."""
    assert waits(model(), woken(context, "asset_triggered"))


def test_the_backstop_does_not_wait_for_what_an_event_brought(
    store: Store, context: MakeContext, flag: Flag
) -> None:
    """The delivery that it is due for was decided on: nothing changed."""
    decide(store, flag, Outcome.REJECTED)
    due = woken(context, "scheduled")
    assert not waits(model(), due)
    assert run_in(due, run_tasks.plan_run, model()) is False
    record = record_of(store, due)
    assert record is not None
    assert record.outcome is Outcome.NO_CHANGE


def test_the_backstop_waits_for_the_next_delivery(
    store: Store, context: MakeContext, flag: Flag
) -> None:
    """A flag that was decided on before the last due is another due's."""
    decide(store, flag, Outcome.REJECTED)
    later = datetime.now(UTC) + timedelta(days=30)
    assert waits(model(schedule="@daily"), woken(context, "scheduled", run_after=later))


@pytest.mark.parametrize("run_type", ["scheduled", "manual", "backfill"])
def test_without_events_a_decided_flag_is_waited_out(
    store: Store, context: MakeContext, flag: Flag, run_type: str
) -> None:
    """A model without `on`, and a run that someone starts, wait for a new flag as ever."""
    decide(store, flag, Outcome.REJECTED)
    assert waits(model(events=False), woken(context, run_type))
    if run_type != "scheduled":
        assert waits(model(), woken(context, run_type))


class Landed:
    """The events of the model's own asset, as Airflow hands them to a task that has it as inlet."""

    timestamp = datetime(2026, 11, 24, 5, 59, tzinfo=UTC)

    def __init__(self, *days: Any) -> None:
        payloads = [{"flag": f"s3://b/{day}/ready.flag", "date": day} for day in days]
        self.extras: list[Any] = [{"from_trigger": True, "payload": one} for one in payloads]

    def __getitem__(self, asset: Asset) -> Landed:
        assert asset.name == f"{NAME}_delivery"
        return self

    def ascending(self, value: bool) -> Landed:
        """The newest come first."""
        assert not value
        return self

    def limit(self, count: int) -> list[SimpleNamespace]:
        """So many of them."""
        return [
            SimpleNamespace(extra=extra, timestamp=self.timestamp) for extra in self.extras[:count]
        ]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([], date(2026, 11, 24)),
        (["2026-11-23"], date(2026, 11, 23)),
        (["2026-11-22", "2026-11-23"], date(2026, 11, 23)),
        (["2999-01-01", "2020-01-01"], date(2026, 11, 24)),
        (["2026-13-45", None, 7], date(2026, 11, 24)),
    ],
)
def test_a_run_works_on_the_newest_day_that_landed(
    context: MakeContext, days: list[Any], expected: date
) -> None:
    """The day is that of the flag; what is no day of ours, or out of bounds, changes nothing."""
    trigger = model(flag="landing/{date}/ready.flag").trigger
    run = woken(context, "asset_triggered")
    run["inlet_events"] = Landed(*days)
    assert read_params(run, trigger).date == expected  # type: ignore[arg-type]
    run["params"]["date"] = "2026-11-21"
    assert read_params(run, trigger).date == date(2026, 11, 21)  # type: ignore[arg-type]


def test_a_clear_and_the_plan_keep_the_day_that_the_run_began_with(
    store: Store, context: MakeContext, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever lands later: a run of the 20th works on the 20th for ever."""
    config = model(flag="landing/{date}/ready.flag")
    run = woken(context, "asset_triggered")
    days = [(DAY - timedelta(days=back)).isoformat() for back in (9, 1)]
    run["inlet_events"] = Landed(days[0])
    assert waits(config, run)
    run["inlet_events"] = Landed(*days)
    run["dag_run"].clear_number = 1
    with pytest.raises(TaskDeferred) as deferred:
        FlagSensor(task_id="wait_for_data", config=config).execute(run)
    assert f"landing/{days[0]}/ready.flag" in str(deferred.value.trigger.serialize())
    with pytest.raises(AirflowException, match="not complete"):
        run_in(run, run_tasks.plan_run, config)
    assert f"'date': '{days[0]}'" in caplog.text


def test_an_event_from_before_the_one_that_started_the_run_names_no_day(
    context: MakeContext,
) -> None:
    """A watcher that was removed long ago pins no run to its last day."""
    run = woken(context, "asset_triggered")
    run["inlet_events"] = Landed("2026-11-22")
    by_another = SimpleNamespace(timestamp=Landed.timestamp + timedelta(seconds=1))
    run["triggering_asset_events"] = {Asset("prices"): [by_another]}
    trigger = model(flag="landing/{date}/ready.flag").trigger
    assert read_params(run, trigger).date == date(2026, 11, 24)  # type: ignore[arg-type]
    by_it = SimpleNamespace(timestamp=Landed.timestamp)
    run["triggering_asset_events"][Asset(f"{NAME}_delivery")] = [by_it]
    assert read_params(run, trigger).date == date(2026, 11, 22)  # type: ignore[arg-type]


def test_an_event_without_more_is_of_no_day(context: MakeContext) -> None:
    """Someone may put an event there by hand."""
    run = woken(context, "asset_triggered")
    run["inlet_events"] = events = Landed("x")
    events.extras = [None, {}, {"payload": "x"}]
    trigger = model(flag="landing/{date}/ready.flag").trigger
    assert read_params(run, trigger).date == date(2026, 11, 24)  # type: ignore[arg-type]


@pytest.mark.parametrize("run_type", ["scheduled", "manual"])
def test_only_events_choose_the_day(context: MakeContext, run_type: str) -> None:
    """The clock's run, and a person's, work on their own day as ever."""
    trigger = model(flag="landing/{date}/ready.flag").trigger
    assert read_params(woken(context, run_type), trigger).date == date(2026, 11, 24)  # type: ignore[arg-type]
