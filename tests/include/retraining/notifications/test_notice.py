"""The parts that every message has, whatever it is about."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.retraining.notifications.blocks import HEADER_LENGTH
from include.retraining.notifications.notice import Links, Notice, NoticeKind, alert

SECRET = "postgresql://u:hunter22@db/"


def an_alert(**changes: Any) -> Notice:
    """A message, with some of its parts changed."""
    parts: dict[str, Any] = {
        "event": "late",
        "kind": NoticeKind.BROKEN,
        "key": "toy.run.late",
        "title": "Toy",
        "model": "toy",
        "headline": "the run is late",
        "why": "it is noon",
        "step": "Look at it.",
        "owner": "tests",
        "serving": "version 1",
        "links": Links(run="https://airflow/run"),
        "runbook": "late",
    }
    return alert(**{**parts, **changes})


@pytest.mark.parametrize("part", ["title", "headline", "why", "step", "owner", "serving"])
def test_no_part_is_markup_or_holds_a_secret(part: str) -> None:
    """Wherever a text comes from, it mentions nobody, links nowhere and tells no secret."""
    notice = an_alert(**{part: f"<!channel> <https://evil|click> & {SECRET}"})
    marked_up = [block for block in notice.blocks if block["type"] != "header"]
    for text in (notice.text, json.dumps(marked_up)):
        assert "<!channel>" not in text
        assert "<https://evil" not in text
    assert "hunter22" not in notice.to_bytes().decode()


def test_an_address_cannot_break_its_link() -> None:
    """A `|` or a `>` in an address stays inside the link."""
    notice = an_alert(links=Links(run="https://airflow/a|b>c"))
    assert "<https://airflow/a%7Cb&gt;c|run>" in json.dumps(notice.blocks)


@pytest.mark.parametrize("letter", ["x", "&"])
def test_slacks_limits_are_kept(letter: str) -> None:
    """Texts of any length make a message that Slack takes, escaped ones counted as they are sent.

    A header has 150 characters, a text 3000, a field 2000.
    """
    parts = ("title", "headline", "why", "step", "serving", "owner")
    notice = an_alert(**dict.fromkeys(parts, letter * 10_000))
    assert [block["type"] for block in notice.blocks] == [
        "header",
        "section",
        "section",
        "section",
        "context",
        "context",
    ]
    assert len(notice.blocks[0]["text"]["text"]) <= HEADER_LENGTH
    for block in notice.blocks[1:]:
        texts = [block["text"]] if "text" in block else block.get("fields") or block["elements"]
        limit = 2000 if "fields" in block else 3000
        assert all(0 < len(text["text"]) <= limit for text in texts)


def test_what_is_not_known_is_left_out() -> None:
    """Without owner, version, links and page no empty part is shown."""
    notice = an_alert(owner=None, serving=None, links=Links(), runbook="")
    for word in ("Owner", "Serving", "runbook", "run:"):
        assert word not in notice.to_bytes().decode().replace("the run is", "")


def test_a_key_is_a_name_in_the_store() -> None:
    """A run's id may hold anything; the key holds no more than a name may."""
    assert an_alert(key="m.a/b c:d+e.late").key == "m.a_b_c_d_e.late"


def test_a_notice_is_read_back_as_it_was_written() -> None:
    """What waits in the outbox is the whole message."""
    notice = an_alert()
    assert Notice.from_bytes(notice.to_bytes(), where="x") == notice
