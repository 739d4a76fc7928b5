"""What people are told, and the outbox that loses none of it.

A notice is written to the outbox first and sent second. Whoever sends it claims it before and marks
it afterwards; a claim that is old and not marked belongs to a sender that died, and the next sender
may claim again. So a message arrives at least once, and twice only when a sender was killed between
the answer of the other side and the mark; both then carry the same event id.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from include.retraining.decision_record import DecisionRecord, Outcome
from include.retraining.documents import Document
from include.retraining.exceptions import EvidenceError, StorageError
from include.retraining.layout import OUTBOX
from include.retraining.redaction import redact
from include.retraining.storage import Store
from include.retraining.wording import cut

CLAIM_SECONDS = 60
REASON_LENGTH = 600
_NOTICE_NAME = re.compile(r"(?P<key>.+?)(?:\.claim-(?P<claim>[0-9]+)|\.(?P<sent>sent))?\.json")


@dataclass(frozen=True)
class Links:
    """Where a message takes a person."""

    run: str | None = None
    """The run's page in the Airflow UI."""
    log: str | None = None
    """The log of the task that ended it."""
    record: str | None = None
    """The address of the decision record."""


class Notice(Document):
    """One message about one event."""

    format: int = 1
    key: str
    """Names the event: the same event has the same key, whoever tells it."""
    event: str
    """`promoted`, `rejected`, `cannot_judge`, `data_rejected`, `no_data`, `broken`, …"""
    model: str
    text: str
    """Slack's markup, escaped."""
    created_at: datetime


class Claim(Document):
    """Says that someone is sending a notice, or has sent it."""

    nonce: str
    """Tells two who claim at the same moment apart."""
    claimed_at: datetime


# Per outcome: the event, an emoji, what happened, and the next step.
_TEXTS: dict[Outcome, tuple[str, str, str, str]] = {
    Outcome.PROMOTED: (
        "promoted",
        ":rocket:",
        "a new version serves",
        "Nothing to do. To undo it: `rollback {model} --to {previous} --reason …`.",
    ),
    Outcome.REJECTED: (
        "rejected",
        ":no_entry:",
        "the new version was refused",
        "See the card for what it lacks; `why {model}` repeats this.",
    ),
    Outcome.CANNOT_JUDGE: (
        "cannot_judge",
        ":grey_question:",
        "the new version could not be judged",
        (
            "Repair what the reason names and clear the run. For a champion that is lost: "
            "`promote {model} --version V --unjudged-champion --reason …`."
        ),
    ),
    Outcome.DATA_REJECTED: (
        "data_rejected",
        ":no_entry:",
        "the data was refused",
        "Ask the producer for a corrected delivery; its flag starts the next run.",
    ),
    Outcome.NO_DATA: (
        "no_data",
        ":hourglass:",
        "no complete delivery came in time",
        "Ask the producer. The next run waits for the same delivery.",
    ),
    Outcome.FAILED: (
        "broken",
        ":rotating_light:",
        "the run broke",
        "Read the log, repair the cause and clear the failed task.",
    ),
    Outcome.CANCELLED: (
        "broken",
        ":rotating_light:",
        "the run was ended by hand",
        "Trigger it again when it should go on.",
    ),
    Outcome.SUPERSEDED: (
        "superseded",
        ":fast_forward:",
        "another change was faster, nothing was promoted",
        "Nothing to do: the next run judges against what serves now.",
    ),
    Outcome.DRY_RUN: (
        "dry_run",
        ":test_tube:",
        "dry run, nothing was changed",
        "Trigger it without dry_run to act on it.",
    ),
}


def notice_for(record: DecisionRecord, links: Links) -> Notice | None:
    """Return the message about a decision, or None when there is nothing to tell (no change).

    It says what happened, why, what serves now and since when, what to do, and where to look.
    """
    if record.outcome not in _TEXTS:
        return None
    event, emoji, what, step = _TEXTS[record.outcome]
    previous = record.previous.version if record.previous else "VERSION"
    if record.outcome is Outcome.PROMOTED and record.previous is None:
        step = "Nothing to do: it is the first."
    task = f" in `{escaped(record.failed_task)}`" if record.failed_task else ""
    step = step.format(model=record.model, previous=escaped(previous))
    headline = f"{emoji} {{title}}: {what}{task}"
    return _notice(record, links, event=event, headline=headline, why=record.reason, step=step)


def card_notice(record: DecisionRecord, links: Links, problem: str) -> Notice:
    """Return the message that a decision stands and that its model card could not be made."""
    decided = record.outcome.value.replace("_", " ")
    headline = f":rotating_light: {{title}}: the model card could not be made ({decided} run)"
    step = "The decision stands. Clear `publish_card` to make the card again."
    return _notice(record, links, event="card", headline=headline, why=problem, step=step)


def _notice(
    record: DecisionRecord, links: Links, *, event: str, headline: str, why: str, step: str
) -> Notice:
    title = record.title or record.model.replace("_", " ").capitalize()
    lines = [
        headline.format(title=f"*{escaped(title)}*"),
        f"*Why:* {escaped(cut(redact(why), REASON_LENGTH))}",
        f"*Serving now:* {escaped(serving_words(record))}",
        f"*Next:* {step}",
    ]
    shown = {"run": links.run, "log": links.log, "record": links.record}
    places = [f"<{escaped(address)}|{name}>" for name, address in shown.items() if address]
    if record.failed_task is None and record.params is not None:
        places.append(f"data of {record.params.date.isoformat()}")
    lines.append(" · ".join(places))
    key = f"{record.model}.{record.run}.{record.clear:03d}.{event}"
    lines.append(f"_event {escaped(key)}_")
    return Notice(
        key=key,
        event=event,
        model=record.model,
        text="\n".join(line for line in lines if line),
        created_at=datetime.now(UTC),
    )


def serving_words(record: DecisionRecord) -> str:
    """Say what serves after a decision, and since when."""
    if record.serving is None:
        return "nothing yet"
    since = record.serving_since
    when = f", since {since.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if since else ""
    return f"version {record.serving.version} (generation {record.serving.generation}){when}"


def escaped(text: str) -> str:
    """Return ``text`` so that Slack takes nothing in it for markup: `&`, `<` and `>`."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def deliver(store: Store, notice: Notice, send: Callable[[Notice], None]) -> bool:
    """Write a notice down, claim it, send it and mark it.

    Args:
        store: with the outbox. When it refuses, the notice is sent directly.
        notice: what to say.
        send: raises when the message did not arrive; the notice then stays in the outbox.

    Returns:
        False when it was sent before, or another is sending it.
    """
    try:
        store.create(_key(notice.key), notice.to_bytes())
        is_mine = _claim(store, notice.key)
    except StorageError:
        send(notice)
        return True
    if not is_mine:
        return False
    send(notice)
    _mark(store, notice.key)
    return True


def deliver_waiting(store: Store, send: Callable[[Notice], None]) -> int:
    """Send every notice that was written, is not sent, and that nobody is sending.

    Returns:
        How many were sent.
    """
    return sum(deliver(store, notice, send) for notice in list(waiting(store)))


def waiting(store: Store) -> Iterator[Notice]:
    """Yield the notices in the outbox that are not marked as sent, oldest name first."""
    names = [info.key.removeprefix(f"{OUTBOX}/") for info in store.children(OUTBOX)[1]]
    found = [match for name in names if (match := _NOTICE_NAME.fullmatch(name))]
    sent = {match["key"] for match in found if match["sent"]}
    for match in found:
        if match["claim"] is None and match["sent"] is None and match["key"] not in sent:
            yield _stored(store, match["key"])


def _stored(store: Store, key: str) -> Notice:
    try:
        return Notice.from_bytes(store.read(_key(key)), where=_key(key))
    except EvidenceError as error:  # one damaged notice must not hold the others back
        text = f":rotating_light: a notice in the outbox cannot be read: {escaped(str(error))}"
        return Notice(key=key, event="broken", model="", text=text, created_at=datetime.now(UTC))


def _claim(store: Store, key: str) -> bool:
    """Take the right to send a notice; a claim that is old and not marked does not count."""
    if store.exists(_key(key, "sent")):
        return False
    number = 1
    while store.exists(_key(key, f"claim-{number}")):
        number += 1
    mine = Claim(nonce=uuid.uuid4().hex, claimed_at=datetime.now(UTC))
    patience = timedelta(seconds=CLAIM_SECONDS)
    if number > 1 and mine.claimed_at - _claimed_at(store, key, number - 1) < patience:
        return False
    if not store.create(_key(key, f"claim-{number}"), mine.to_bytes()):
        return False
    # The sender before may have marked it while this one claimed.
    return number == 1 or not store.exists(_key(key, "sent"))


def _claimed_at(store: Store, key: str, number: int) -> datetime:
    try:
        where = _key(key, f"claim-{number}")
        return Claim.from_bytes(store.read(where), where=where).claimed_at
    except EvidenceError:
        return datetime.min.replace(tzinfo=UTC)  # an unreadable claim holds nobody back


def _mark(store: Store, key: str) -> None:
    """Mark a notice as sent. That this fails costs a duplicate, never a message."""
    try:
        mark = Claim(nonce=uuid.uuid4().hex, claimed_at=datetime.now(UTC))
        store.create(_key(key, "sent"), mark.to_bytes())
    except StorageError:
        return


def _key(key: str, suffix: str = "") -> str:
    return f"{OUTBOX}/{key}{'.' if suffix else ''}{suffix}.json"
