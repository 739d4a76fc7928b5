"""How a message is laid out: as plain text, and in Slack's Block Kit.

Slack refuses a message whole when one text in it is too long; `slack_sdk` checks headers and
sections, and what it cannot check is sent once more as plain text (`slack.send`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Slack refuses a header that is longer.
HEADER_LENGTH = 150


def escaped(text: str) -> str:
    """Return ``text`` so that Slack takes nothing in it for markup: `&`, `<` and `>`."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True)
class Layout:
    """What a message is laid out from; all but the header is escaped."""

    header: str
    headline: str
    facts: dict[str, str]
    """`Why`, `Next`, `Serving now` and `Owner`, those that are known."""
    places: dict[str, str]
    """Addresses by what lies there."""
    mark: str
    """Which event it is, and when."""

    @property
    def text(self) -> str:
        """The message as plain text."""
        facts = [f"{name}: {text}" for name, text in self.facts.items()]
        places = [f"{name}: {place}" for name, place in self.places.items()]
        header = f"{escaped(self.header)}: {self.headline}"
        return "\n".join([header, *facts, *places, self.mark])

    def blocks(self) -> list[dict[str, Any]]:
        """Return the message in Block Kit, the header first."""
        # Imported here: a process that only reads a notice, such as a page, sends none.
        from slack_sdk.models.blocks import (
            Block,
            ContextBlock,
            HeaderBlock,
            PlainTextObject,
            SectionBlock,
        )

        facts = {name: f"*{name}*\n{text}" for name, text in self.facts.items()}
        why = f"*{self.headline}*\n{self.facts.get('Why', '')}".rstrip()
        fields = [_markup(facts[name]) for name in ("Serving now", "Owner") if name in facts]
        where = " · ".join(_place(name, place) for name, place in self.places.items())
        blocks: list[Block] = [
            HeaderBlock(text=PlainTextObject(text=self.header, emoji=True)),
            SectionBlock(text=_markup(why)),
        ]
        if "Next" in facts:
            blocks.append(SectionBlock(text=_markup(facts["Next"])))
        if fields:
            blocks.append(SectionBlock(fields=fields))
        blocks += [ContextBlock(elements=[_markup(text)]) for text in (where, self.mark) if text]
        return [block.to_dict() for block in blocks]


def _markup(text: str) -> Any:
    from slack_sdk.models.blocks import MarkdownTextObject

    # Verbatim: an address or a channel's name in a reason is not made a link or a mention.
    return MarkdownTextObject(text=text, verbatim=True)


def _place(name: str, place: str) -> str:
    """Return a link, or the path as it is where a browser could not open it."""
    if place.startswith(("https://", "http://")):
        return f"<{place}|{name}>"
    return f"{name} `{place}`"
