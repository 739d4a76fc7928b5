"""The example of a card is one that a run of today would leave."""

from __future__ import annotations

import re

from tests.docs.example_card import FOLDER, make_card, words


def test_the_example_is_in_step() -> None:
    """It says what a run's card says, but for numbers and digests."""
    made = make_card()
    stored = (FOLDER / "card.md").read_text(encoding="utf-8")
    again = "run `python -m tests.docs.example_card`"
    assert words(stored) == words(made["card.md"].decode()), again
    assert set(re.findall(r"!\[[^]]*\]\(([^)]*)\)", stored)) == made.keys() - {"card.md"}
    assert {path.name for path in FOLDER.glob("*.png")} == made.keys() - {"card.md"}, again
