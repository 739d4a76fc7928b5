"""What people read holds no character that they cannot see."""

from __future__ import annotations

import unicodedata

import pytest

from include.retraining.formatting.text import truncate, visible
from include.retraining.notifications.notice import Links, NoticeKind, alert
from include.retraining.notifications.slack import message_of
from include.retraining.store.redaction import redact

UNSEEN = {
    "zero width": "\u200b",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "right to left": "\u202e",
    "isolate": "\u2067",
    "joiner": "\u200d",
    "tag": "\U000e0041",
    "filler": "\u3164",
}


@pytest.mark.fault("H08")
@pytest.mark.parametrize("unseen", UNSEEN.values(), ids=UNSEEN)
def test_what_cannot_be_seen_is_dropped(unseen: str) -> None:
    """Neither a message nor anything that is cut to a line holds it, and no secret hides in it."""
    assert visible(f"a{unseen}b") == truncate(f"a{unseen}b", 9) == "ab"
    assert "hunter22" not in redact(f"pass{unseen}word=hunter22")
    said = f"a{unseen}b"
    notice = alert(
        event="late",
        kind=NoticeKind.BROKEN,
        key="k",
        title=said,
        model="toy",
        headline=said,
        why=said,
        step=said,
        owner=said,
        serving=said,
        links=Links(run=f"https://a/{said}"),
        runbook="late",
    )
    assert unseen not in notice.to_bytes().decode()
    assert ascii(unseen).strip("'") not in notice.to_bytes().decode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("o\x00k", r"o\x00k"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\x85b\u2028c", r"a\x85b\u2028c"),
        ("\udcff", r"\udcff"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("très bien, データ, العربية", "très bien, データ, العربية"),
    ],
)
def test_control_characters_are_shown_by_their_number(text: str, shown: str) -> None:
    """What a database or a terminal would take amiss is shown as its number, in names too."""
    assert visible(text) == redact(text) == shown
    assert truncate(text, 80) == " ".join(shown.split())


def test_no_control_is_left_out() -> None:
    """No character of Unicode's control category gets through but tab and line feed."""
    controls = {chr(code) for code in range(0x2000) if unicodedata.category(chr(code)) == "Cc"}
    assert {char for char in controls if visible(char) == char} == {"\t", "\n"}


@pytest.mark.fault("H08")
def test_slack_unfolds_no_address() -> None:
    """An address in a reason is not fetched and shown by Slack, with blocks and without."""
    notice = alert(
        event="late",
        kind=NoticeKind.BROKEN,
        key="k",
        title="t",
        model="toy",
        headline="h",
        why="see https://example.org/x",
        step="s",
        owner=None,
        serving=None,
        links=Links(),
        runbook="late",
    )
    for message in (message_of(notice), message_of(notice.model_copy(update={"blocks": ()}))):
        assert (message["unfurl_links"], message["unfurl_media"]) == (False, False)
