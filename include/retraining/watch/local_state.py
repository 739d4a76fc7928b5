"""The external watchdog's own alarm state, for as long as it cannot use the store.

A folder of the user then holds what the store otherwise holds, so that an outage is sent once and
not at each check. Once the store is back, that is sent, and the folder is emptied. A user without a
home has no such folder, and everything is sent at each check.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from include.retraining.documents import sha256_of
from include.retraining.notifications.notice import Links, Notice
from include.retraining.notifications.outbox import deliver_waiting, waiting
from include.retraining.store.layout import watch_key
from include.retraining.store.object_store import Store
from include.retraining.watch.alarms import Alarm, update_alarms

PLACE = "airflow"
Notify = Callable[[Notice], None]


def own_folder(environment: Mapping[str, str], store_uri: str) -> Path | None:
    """Return the folder for this user's alarm state of a store; None when the user has no home.

    Args:
        environment: `XDG_STATE_HOME`, or else `HOME`, names where programs keep such things.
        store_uri: of the store that is watched.
    """
    home = environment.get("HOME", "")
    state = Path(environment.get("XDG_STATE_HOME") or f"{home}/.local/state")
    if not state.is_absolute() or not (home or environment.get("XDG_STATE_HOME")):
        return None
    return state / "retraining-watch" / sha256_of(store_uri.encode())[:16]


def update_alarms_locally(
    folder: Path,
    alarms: Collection[Alarm],
    notifier_for: Callable[[Store], Notify],
    *,
    checked: Collection[str],
    links: Links,
) -> None:
    """Notify of new alarms and of those that are over, while the store cannot be used.

    Args:
        folder: `own_folder`.
        alarms: all that is wrong now.
        notifier_for: returns a function that delivers notices through a store's outbox.
        checked: as for `update_alarms`.
        links: as for `update_alarms`.

    Raises:
        OSError: when the folder cannot be made.
        StorageError: when it cannot be used.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = Store(folder.as_uri())
    update_alarms(own, PLACE, alarms, notifier_for(own), checked=checked, links=links)


def flush_local_alarms(
    folder: Path,
    alarms: Collection[Alarm],
    notifier_for: Callable[[Store], Notify],
    send: Notify,
    *,
    checked: Collection[str],
    links: Links,
) -> None:
    """Notify of what is over now that the store is back, and empty the folder once all is sent.

    The arguments are those of `update_alarms_locally`; ``send`` sends one notice.

    Raises:
        NotSent: when something could not be sent; it is kept for the next check.
        StorageError: when the folder cannot be used.
    """
    if not folder.is_dir():
        return
    own = Store(folder.as_uri())
    if own.exists(watch_key(PLACE)):
        update_alarms(own, PLACE, alarms, notifier_for(own), checked=checked, links=links)
        own.delete(watch_key(PLACE))
    deliver_waiting(own, send)
    if next(waiting(own), None) is None:
        for info in own.objects():
            own.delete(info.key)
