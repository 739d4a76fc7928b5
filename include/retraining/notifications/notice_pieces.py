"""What lies in the outbox of each notice, by the names of its pieces.

`KEY.json` is the notice, `KEY.claim-1.json` that someone sends it, `KEY.retry-1.json` that this
failed, `KEY.sent.json` that it was sent; the other pieces hold it back until a list names it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from include.retraining.store.layout import OUTBOX, OUTBOX_SENT
from include.retraining.store.object_store import ObjectInfo, Store

SENT = "sent"
FLOODED = "flooded"
"""The piece that holds a notice for a digest (`flood`)."""
SILENCED = "silenced-"
"""How the name of a piece begins that holds a notice for as long as a silence lasts; its id
follows."""
_NOTICE_NAME = re.compile(
    r"(?P<key>.+?)"
    rf"(?:\.(?P<piece>(?:claim|retry)-[0-9]+|{SENT}|{FLOODED}|{SILENCED}[0-9T]+-[0-9a-f]+))?\.json"
)
Pieces = Mapping[str, Mapping[str, ObjectInfo]]
"""What lies in the outbox of each notice: by its key, then by the piece's name."""


def pieces(store: Store, folder: str = OUTBOX) -> dict[str, dict[str, ObjectInfo]]:
    """Return what lies in the outbox, or where sent notices go, of each notice by its key.

    A notice's pieces are named by what follows its key: nothing for the notice, `claim-1`, `sent` …
    """
    by_key: dict[str, dict[str, ObjectInfo]] = {}
    for info in store.children(folder)[1]:
        match = _NOTICE_NAME.fullmatch(info.key.removeprefix(f"{folder}/"))
        if match is not None:
            by_key.setdefault(match["key"], {})[match["piece"] or ""] = info
    return by_key


def piece_key(key: str, piece: str = "", *, folder: str = OUTBOX) -> str:
    """Return where a piece of a notice lies in the outbox, or where sent notices go."""
    return f"{folder}/{key}{'.' if piece else ''}{piece}.json"


def is_moved(store: Store, key: str) -> bool:
    """Return whether a notice was sent and is moved out of the way, or is being moved."""
    return store.exists(piece_key(key, SENT, folder=OUTBOX_SENT))


def is_sent(store: Store, key: str) -> bool:
    """Return whether a notice was sent, or must not be sent any more."""
    # In this order: its mark is put into the other place before it is removed from this one.
    return store.exists(piece_key(key, SENT)) or is_moved(store, key)


def silenced_by(by_name: Collection[str]) -> str | None:
    """Return the id of the silence that holds a notice with these pieces; None when none does."""
    names = sorted(name for name in by_name if name.startswith(SILENCED))
    return names[-1].removeprefix(SILENCED) if names and SENT not in by_name else None


def is_held(by_name: Collection[str]) -> bool:
    """Return whether a notice with these pieces waits for a list that names it."""
    return FLOODED in by_name or silenced_by(by_name) is not None
