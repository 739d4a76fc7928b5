"""Wait for a complete delivery without holding a worker slot."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.sensors.filesystem import FileSensor
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout

from include.orchestration.callbacks.run_ended import record_and_notify
from include.orchestration.operators.watched_delivery import WatchedDelivery
from include.orchestration.parsing.events import delivery_asset
from include.orchestration.parsing.schedule import due_times
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.events import CLOCK, EVENT, run_type
from include.orchestration.runtime.run_reference import run_reference
from include.orchestration.runtime.store import open_store, store_address
from include.orchestration.runtime.urls import airflow_url
from include.orchestration.trigger_forms.run_form import (
    announced_day,
    is_of_a_flags_day,
    read_params,
)
from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import RetrainingError, StorageError

if TYPE_CHECKING:
    from include.retraining.data.delivery import DeliveryState
    from include.retraining.runs.manifest import Params
    from include.retraining.store.object_store import Store

# Airflow's own limit on a deferred task is only the net below ours: it has no reason to give.
NET_SECONDS = 60.0


class FlagSensor(FileSensor):
    """Waits for a model's flag and for a complete delivery behind it.

    A look judges flag and files in the worker. When it finds something missing it says what, and
    defers to a trigger that watches for a change; so a flag that was decided on before, a flag
    before its data and a half-written file keep the run waiting. It works on every kind of store
    alike, whichever the address or the store has. The time to wait is counted from the
    run's start, by our clock: Airflow would restart the count each time the task defers.
    """

    def __init__(self, *, config: ModelConfig, **kwargs: Any) -> None:
        """Wait as the model's `trigger` says."""
        super().__init__(
            filepath=config.trigger.flag,
            poke_interval=config.trigger.poke_seconds,
            timeout=config.trigger.timeout_seconds,
            deferrable=True,
            inlets=[delivery_asset(config)],
            # A scheduler that notices a pause when the wait has gone on already stops it:
            # https://github.com/apache/airflow/issues/72716. So it is tried again within seconds,
            # and for ten minutes, as the other tasks are.
            retries=6,
            retry_delay=timedelta(seconds=10),
            retry_exponential_backoff=2.0,
            **kwargs,
        )
        self.config = config

    def execute(self, context: Context) -> None:
        """Check the run's parameters, and the delivery for the first time."""
        self._note_begun(context)
        # Counted from the run's start, so that a retry of this task does not wait again.
        started = context["dag_run"].start_date
        begin = time.time() if started is None else started.timestamp()
        self._look(context, deadline=begin + self.config.trigger.timeout_seconds)

    def _note_begun(self, context: Context) -> None:
        """Record the run's start for the watch. The check that follows reports a failing store."""
        from include.retraining.runs.journal import record_run_start

        trigger = self.config.trigger
        day = announced_day(context, trigger) if is_of_a_flags_day(context, trigger) else None
        try:
            run = run_reference(context)
            record_run_start(open_store(), run, airflow=airflow_url(), day=day)
        except RetrainingError as error:
            self.log.warning("it could not be noted that the run began: %s", error)

    def _recorded_day(self, context: Context) -> date | None:
        """Return the day that was noted when the run began; None while the store does not say."""
        from include.retraining.runs.journal import recorded_day

        if not is_of_a_flags_day(context, self.config.trigger):
            return None
        try:
            return recorded_day(open_store(), run_reference(context))
        except StorageError as error:  # the look that follows reports a failing store
            self.log.warning("the run's day could not be read: %s", error)
            return None

    def look_again(
        self, context: Context, event: dict[str, Any] | None = None, deadline: float = 0.0
    ) -> None:
        """Look again after the trigger noticed a change, or the time is up."""
        if event and "refused" in event:
            self.log.error("%s", event["refused"])
            raise AirflowFailException(event["refused"])
        self._look(context, deadline=deadline)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> None:
        """Look a last time also when Airflow ended the wait because no triggerer answered."""
        try:
            super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout:
            self._look(context, deadline=0.0)

    def _look(self, context: Context, *, deadline: float) -> None:
        """Return when the delivery is complete; defer or give up when it is not."""
        with fail_permanent_errors():
            assert_own_bundle(context)
            recorded = self._recorded_day(context)
            params = read_params(context, self.config.trigger, recorded=recorded)
            watched = WatchedDelivery.of(store_address().uri, self.config, params.date)
            inspection = self._inspect(watched, params, context)
        if inspection.state.is_complete:
            self.log.info("%s", inspection.state.reason)
            return
        left = deadline - time.time()
        if left <= 0:
            self._give_up(context, params, inspection.state)
        self.log.info("waiting up to %.0f s more: %s", left, inspection.state.reason)
        self.defer(
            trigger=watched.trigger(
                ignored_flag=inspection.ignored_flag,
                seen=inspection.digest,
                reason=inspection.state.reason,
                poke_seconds=self.config.trigger.poke_seconds,
                deadline=deadline,
            ),
            method_name="look_again",
            kwargs={"deadline": deadline},
            timeout=timedelta(seconds=left + NET_SECONDS),
        )

    def _inspect(self, watched: WatchedDelivery, params: Params, context: Context) -> _Inspection:
        """Check the delivery; an outage of the store is one more thing to wait for.

        Raises:
            StorageError: when the store refuses or was never initialised, which no waiting changes.
        """
        from include.retraining.data.delivery import DeliveryState, inspect_delivery
        from include.retraining.exceptions import MissingObject

        try:
            store = open_store()
            # Before the judgement, so that what changes meanwhile is news to the trigger.
            seen = watched.observe(store)
            consumed = None
            # A flag of a date is not used up: then no record is read.
            if not params.force_retrain and "{date}" not in self.config.trigger.flag:
                consumed = self._consumed(store, watched.flag, context)
            state = inspect_delivery(store, self.config, params.date, consumed=consumed)
        except StorageError as error:
            # An object that vanished while we looked is one that a producer is replacing.
            if error.is_permanent and not isinstance(error, MissingObject):
                raise
            return _Inspection(DeliveryState(is_complete=False, reason=str(error), flag=None))
        is_consumed = state.flag is not None and state.flag.identity == consumed
        if seen is None:
            return _Inspection(state)
        return _Inspection(
            state, digest=seen.digest, ignored_flag=seen.flag if is_consumed else None
        )

    def _consumed(self, store: Store, flag_uri: str, context: Context) -> str | None:
        """Return the identity of the flag that does not count, because it was decided on before.

        A run that an event started takes any flag: one that was decided on changes nothing. So
        does the backstop behind events, when the delivery that it is due for was decided on.
        """
        from include.retraining.decisions.records import consumed_flag
        from include.retraining.decisions.same_flag import first_decided_at
        from include.retraining.fingerprint.pinned import Flag

        dag_run, name = context["dag_run"], self.config.name
        if run_type(dag_run) == EVENT:
            return None
        consumed = consumed_flag(store, name, flag_uri, for_run=context["run_id"])
        if consumed is None or self.config.trigger.on is None or run_type(dag_run) != CLOCK:
            return consumed
        flag = Flag(uri=flag_uri, identity=consumed, is_consumable=True)
        decided = first_decided_at(store, name, flag, for_run=context["run_id"])
        due_before = due_times(self.config, dag_run.run_after, 1)
        is_of_this_due = decided is not None and all(decided > due for due in due_before)
        return None if is_of_this_due else consumed

    def _give_up(self, context: Context, params: Params, state: DeliveryState) -> NoReturn:
        from include.retraining.decisions.record import Outcome

        seconds = self.config.trigger.timeout_seconds
        reason = f"no complete delivery within {seconds:g} s: {state.reason}"
        self.log.error("%s", reason)
        facts = {"failed_task": self.task_id, "params": params, "flag": state.flag}
        try:
            record_and_notify(context, Outcome.NO_DATA, reason, **facts)
        except StorageError as error:  # the callbacks try again
            self.log.warning("the run could not be closed yet: %s", error)
        raise AirflowFailException(reason)


@dataclass(frozen=True)
class _Inspection:
    """What one look found, and what the trigger needs to know of it."""

    state: DeliveryState
    digest: str | None = None
    ignored_flag: str | None = None
