"""The message about a decision: what it says, to whom, and what it asks for."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from include.retraining.decisions.record import DecisionRecord, Outcome
from include.retraining.notifications.decision_notice import CAUSES, card_notice, notice_for
from include.retraining.notifications.notice import Links, NoticeKind
from include.retraining.steps.close_run import close_run
from include.retraining.store.object_store import Store
from tests.support.run_factory import MODEL, decide, plant_run, run_ref, version_name

LINKS = Links(run="https://airflow/run?a=1&b=2", log="https://airflow/log", record="s3://b/r.json")


def closed(store: Store, outcome: Outcome, reason: str = "because", **facts: Any) -> DecisionRecord:
    """The record of the second run, while the version of the first serves."""
    decide(store, plant_run(store, 1))
    run = plant_run(store, 2)
    if outcome is Outcome.PROMOTED:
        return decide(store, run)
    return close_run(store, run, outcome, reason, **facts)


def told(record: DecisionRecord) -> str:
    """The text of a record's notice."""
    notice = notice_for(record, LINKS)
    assert notice is not None
    return notice.text


EVENTS = {
    Outcome.PROMOTED: "promoted",
    Outcome.REJECTED: "rejected",
    Outcome.CANNOT_JUDGE: "cannot_judge",
    Outcome.DATA_REJECTED: "data_rejected",
    Outcome.NO_DATA: "no_data",
    Outcome.FAILED: "broken",
    Outcome.CANCELLED: "broken",
    Outcome.SUPERSEDED: "superseded",
    Outcome.HELD: "held",
    Outcome.APPROVAL_REJECTED: "approval_rejected",
    Outcome.APPROVAL_EXPIRED: "approval_expired",
    Outcome.DRY_RUN: "dry_run",
}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_that_changes_something_is_notified(folder: Store, outcome: Outcome) -> None:
    """Each message has title, reason, what serves since when, the next step and the links."""
    record = closed(folder, outcome)
    notice = notice_for(record, LINKS)
    if outcome in {Outcome.NO_CHANGE, Outcome.TOO_SOON}:
        assert notice is None
        return
    assert notice is not None
    assert (notice.event, notice.model) == (EVENTS[outcome], MODEL)
    serving = 2 if outcome is Outcome.PROMOTED else 1
    text = notice.text
    assert ": Toy &amp; model: " in text.splitlines()[0]
    assert "\nWhy: " in text
    assert f"\nServing now: version {version_name(serving)} (generation {serving}), since " in text
    assert "\nNext: " in text
    assert "\nOwner: tests" in text
    assert "\nrun: https://airflow/run?a=1&amp;b=2" in text
    assert "\nlog: https://airflow/log" in text
    assert "\nrecord: s3://b/r.json" in text
    assert f"\nevent {notice.key}, " in text
    assert "{" not in text
    shown = json.dumps(notice.blocks)
    assert "<https://airflow/run?a=1&amp;b=2|run>" in shown
    assert "record `s3://b/r.json`" in shown  # a browser could not open it
    for part in ("*Next*", "*Serving now*", "*Owner*", notice.key):
        assert part in shown


def test_each_kind_looks_different(folder: Store) -> None:
    """Emoji, word and colour differ between good news, a refusal and what is broken."""
    record = closed(folder, Outcome.FAILED)
    looks = {}
    for outcome, kind in (
        (Outcome.PROMOTED, NoticeKind.GOOD_NEWS),
        (Outcome.REJECTED, NoticeKind.REJECTED),
        (Outcome.FAILED, NoticeKind.BROKEN),
    ):
        notice = notice_for(record.model_copy(update={"outcome": outcome}), LINKS)
        assert notice is not None
        assert notice.kind is kind
        looks[kind] = (notice.text.partition(":")[2].partition(" ")[0], notice.colour)
    assert len({emoji for emoji, _ in looks.values()}) == 3
    assert len({colour for _, colour in looks.values()}) == 3


@pytest.mark.parametrize("failure", sorted(CAUSES))
def test_the_first_cause_decides_headline_and_step(folder: Store, failure: str) -> None:
    """A run that ran out of memory asks for something else than one that found no machine."""
    record = closed(folder, Outcome.FAILED, failed_task="train_model", failure=failure)
    text = told(record)
    words, step = CAUSES[failure]
    assert f"the run broke in `train_model`: {words}" in text
    told_step = step.format(model=MODEL, dag_id=f"retrain_{MODEL}", task="train_model")
    assert f"Next: {told_step}" in text
    assert "{" not in text
    assert record.failure == failure


def test_a_model_that_cannot_be_read_has_no_plan_to_clear(folder: Store) -> None:
    """Its DAG has one task, so the way out is another run of the mended one."""
    record = closed(folder, Outcome.FAILED, failed_task="read_configuration", failure="config")
    text = told(record)
    assert f"merge it and trigger `{record.dag_id}` again." in text
    assert "plan_run" not in text


def test_links_to_runbooks(folder: Store) -> None:
    """With the repository's address known the page is a link, without it a path."""
    record = closed(folder, Outcome.FAILED)
    assert "runbook: docs/runbooks/broken.md" in told(record)
    links = dataclasses.replace(LINKS, repository="https://forge/repo/blob/main/")
    notice = notice_for(record, links)
    assert notice is not None
    page = "<https://forge/repo/blob/main/docs/runbooks/broken.md|runbook>"
    assert page in json.dumps(notice.blocks)


def test_a_damaged_promotion_log_has_a_page_of_its_own(folder: Store) -> None:
    """What mends it is written nowhere else; after another outcome the page is the outcome's."""
    record = closed(folder, Outcome.FAILED, failed_task="deploy_model", failure="registry")
    assert "runbook: docs/runbooks/promotion_log.md" in told(record)
    other = record.model_copy(update={"outcome": Outcome.REJECTED})
    assert "runbook: docs/runbooks/rejected.md" in told(other)


def test_a_missing_card_asks_for_the_card(folder: Store) -> None:
    """The decision stands, and the step names the task to clear."""
    notice = card_notice(closed(folder, Outcome.REJECTED), LINKS, "no font")
    assert (notice.event, notice.kind) == ("card", NoticeKind.BROKEN)
    assert "Why: no font" in notice.text
    assert "Clear `publish_card`" in notice.text


def test_a_refused_delivery_has_two_ways_out(folder: Store) -> None:
    """The producer's flag starts no run by itself, and a fault of the YAML needs a clear."""
    text = told(closed(folder, Outcome.DATA_REJECTED))
    assert "write the flag again: the next run, by schedule or triggered, takes them." in text
    assert "at fault, fix it, merge it and clear `plan_run` in the run." in text
    assert "starts the next run" not in text


def test_a_promotion_says_how_to_undo_it(folder: Store) -> None:
    """The message of a promotion names the version to go back to, where there is one."""
    assert f"rollback {MODEL} --to {version_name(1)} --reason" in told(
        closed(folder, Outcome.PROMOTED)
    )


def test_the_first_promotion_has_nothing_to_go_back_to(folder: Store) -> None:
    """The message of the first promotion says that it is the first."""
    assert "it is the first" in told(decide(folder, plant_run(folder, 1)))


def test_before_the_first_promotion(folder: Store) -> None:
    """A run without anything in the store is told with the model's name and nothing serving."""
    record = close_run(folder, run_ref(1), Outcome.NO_DATA, "no flag", failed_task="wait_for_data")
    text = told(record)
    assert ": Toy model: no complete delivery came in time in `wait_for_data`" in text
    assert "Serving now: nothing yet" in text


def test_text_from_outside_is_no_markup(folder: Store) -> None:
    """A reason cannot mention a channel, link anywhere, carry a secret or flood the message."""
    reason = "<!channel> <https://evil|click> & postgresql://u:hunter22@db/ " + "x" * 5000
    text = told(closed(folder, Outcome.FAILED, reason, failed_task="<b>"))
    assert "&lt;!channel&gt; &lt;https://evil|click&gt; &amp;" in text
    assert "hunter22" not in text
    assert "`&lt;b&gt;`" in text
    assert len(text) < 2000


def test_links_that_are_unknown_are_left_out(folder: Store) -> None:
    """Without links the message still stands."""
    notice = notice_for(closed(folder, Outcome.FAILED, failed_task="x"), Links())
    assert notice is not None
    assert "http" not in notice.text
    assert "|" not in json.dumps(notice.blocks)
    assert "\n\n" not in notice.text


def test_the_same_event_has_the_same_key(folder: Store) -> None:
    """Two tellers of one event have one key; another clear or another event has another."""
    record = closed(folder, Outcome.FAILED)
    keys = {
        notice_for(item, LINKS).key  # type: ignore[union-attr]
        for item in (
            record,
            record,
            record.model_copy(update={"clear": 1}),
            record.model_copy(update={"outcome": Outcome.PROMOTED}),
        )
    }
    assert len(keys) == 3
    assert all(key.startswith(f"{MODEL}.{record.run}.00") for key in keys)
