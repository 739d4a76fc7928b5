"""A decision's notice is announced before the decision is recorded.

An announcement is a notice without text: it names the record that it is about, and the process that
sends it makes the text from that record as it is then. So a process that is killed between the two
leaves a decision that is sent all the same, and no notice is sent without a recorded decision:
without a record an announcement waits, and once the record has another decision it is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from include.retraining.config.model import load_model
from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.decisions.record_files import read_record
from include.retraining.exceptions import RetrainingError
from include.retraining.notifications.decision_notice import (
    event_of,
    kind_of,
    notice_for,
    notice_key,
)
from include.retraining.notifications.notice import Links, Notice
from include.retraining.store.object_store import Store

LinksOf = Callable[[DecisionRecord], Links]
"""The links of a message about a decision."""


def announcement(record: DecisionRecord, key: str) -> Notice | None:
    """Return the announcement of a decision's notice; None where none will be sent.

    Args:
        record: as it will be written, if no other is there first.
        key: where it will lie.
    """
    kind, event = kind_of(record.outcome), event_of(record.outcome)
    if kind is None or event is None:
        return None
    return Notice(
        key=notice_key(record, event),
        event=event,
        kind=kind,
        model=record.model,
        text="",
        record=key,
        created_at=datetime.now(UTC),
    )


def spoken(store: Store, notice: Notice, links_of: LinksOf | None = None) -> Notice | None:
    """Return a notice with its text.

    Args:
        store: with the record.
        notice: any notice of the outbox.
        links_of: the message's links; only the record by default.

    Returns:
        The very notice while what it announces is not recorded (`Notice.is_announcement`); None
        when something else was recorded, so that it is never sent. A promotion waits on even then:
        the promotion log may still have the record corrected.

    Raises:
        EvidenceError: when the record cannot be read.
    """
    if notice.record is None:
        return notice
    record = read_record(store, notice.record)
    if record is None:
        return notice
    address = f"{store.uri}/{notice.record}"
    links = Links(record=address) if links_of is None else links_of(record)
    with_text = notice_for(with_title_and_owner(record), links)
    if with_text is None or with_text.key != notice.key:
        return notice if notice.event == event_of(Outcome.PROMOTED) else None
    return with_text.model_copy(update={"created_at": notice.created_at})


def with_title_and_owner(record: DecisionRecord) -> DecisionRecord:
    """Return a record with the model's title and owner, where a run ended before it was planned."""
    if record.owner is not None:
        return record
    try:
        config = load_model(record.model)
        return record.model_copy(update={"owner": config.owner, "title": config.title})
    except RetrainingError:  # its YAML may be what is broken
        return record
