"""What failed counts for a digest with what failed in the same way only."""

from __future__ import annotations

from include.local_airflow.slack_receiver import SlackReceiver
from include.orchestration.callbacks import manual_change
from include.orchestration.publishing.alert import notify_failed_publishing
from include.orchestration.upkeep.alert import notify_failed_upkeep
from include.retraining.notifications.flood import alike_of
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.notice_pieces import piece_key, pieces
from include.retraining.store.object_store import Store
from tests.support.contexts import MakeContext


def test_a_failure_of_a_dag_is_alike_by_its_event(
    store: Store, slack: SlackReceiver, context: MakeContext
) -> None:
    """A failed rollback is not the eleventh of ten failed runs of upkeep."""
    for number, notify in enumerate((
        manual_change.notify_failed_rollback,
        manual_change.notify_failed_release,
        manual_change.notify_failed_silence,
        notify_failed_publishing,
        notify_failed_upkeep,
    )):
        notify(context(dag_id=f"dag_{number}", run_id="manual__2026-01-01T00:00:00.1+00:00"))
    events = {
        Notice.from_bytes(store.read(piece_key(key)), where=key).event: alike_of(key)
        for key in pieces(store)
    }
    assert len(events) == len(slack.texts) == 5
    assert all(event == alike for event, alike in events.items()), events
