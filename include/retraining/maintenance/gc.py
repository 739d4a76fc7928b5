"""Remove what is not needed: old versions, unfinished attempts, old messages, temporary files.

Never removed: the champion, any version that an entry of the promotion log names, the newest
versions, and anything of a run or a decision. Between listing and removing, an unused version may
be promoted: it is judged again under other rules, or its approval comes late. So each old version
is marked first, no marked version is promoted, and after a while long enough for a promotion that
had begun, the log is read once more: what it names by then stays. An aborted upload in parts is
invisible here; a bucket's lifecycle rule ends those.

It needs listings of everything that may go: for each model a request for each thousand files of its
versions and one for each version and each entry of the log, and for the messages one for each
thousand. So it is for once a week, not for each pass of the watch.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from include.retraining.exceptions import EvidenceError, MissingObject
from include.retraining.notifications.sent_notices import sent_before
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.registry.removal import mark_for_removal
from include.retraining.registry.versions import VersionManifest
from include.retraining.store import layout
from include.retraining.store.object_store import ObjectInfo, Store

KEEP_VERSIONS = 10
GRACE = timedelta(days=1)
SENT_FOR = timedelta(days=90)
SETTLE_SECONDS = 30.0
"""How long a promotion that did not see a version's mark may still take."""
VERSIONS_AT_ONCE = 200
"""Removed in a few minutes, long before their marks mean nothing any more (`MARK_HOLDS`)."""
_LITTER = re.compile(r".+#[0-9]+")


@dataclass(frozen=True)
class Garbage:
    """One object that may go."""

    key: str
    size: int
    """Bytes."""
    why: str
    version: tuple[str, str] | None = None
    """Model and version, where all of a version goes."""


def find_garbage(
    store: Store, model: str, *, keep: int = KEEP_VERSIONS, now: datetime | None = None
) -> list[Garbage]:
    """Return what of a model may be removed, in the order in which it must be.

    Args:
        store: the store.
        model: the model's name.
        keep: how many of the newest versions to keep in any case.
        now: the time, for tests; nothing younger than a day is garbage.

    Raises:
        RegistryError: when the promotion log is not sound: then nothing may be removed.
    """
    cutoff = (now or datetime.now(UTC)) - GRACE
    promoted = {entry.version for entry in PromotionLog(store, model).history()}
    prefix = layout.version_folder(model, "")
    folders: dict[str, list[ObjectInfo]] = {}
    for info in store.objects(prefix):
        version = info.key.removeprefix(prefix).partition("/")[0]
        folders.setdefault(version, []).append(info)
    manifests = {version: _manifest(store, model, version) for version in folders}
    finished = [
        manifest for manifest in manifests.values() if isinstance(manifest, VersionManifest)
    ]
    newest_first = sorted(finished, key=lambda manifest: manifest.created_at, reverse=True)
    kept = promoted | {manifest.version for manifest in newest_first[:keep]}
    garbage = list(_litter(store, layout.model_folder(model), cutoff))
    for version, objects in sorted(folders.items()):
        garbage += _garbage_of(version, objects, manifests[version], kept, cutoff)
    return garbage


def find_outbox_garbage(store: Store, *, now: datetime | None = None) -> list[Garbage]:
    """Return what may go from the outbox: litter, then messages and threads of long ago.

    A notice that is raised again after that time, because its alarm still lasts, is sent again.
    """
    now = now or datetime.now(UTC)
    return [
        *_litter(store, layout.OUTBOX, now - GRACE),
        *(
            Garbage(info.key, info.size, "a message sent long ago")
            for info in sent_before(store, now - SENT_FOR)
        ),
        *(
            Garbage(info.key, info.size, "a thread in Slack of long ago")
            for info in store.children(layout.THREADS)[1]
            if info.last_modified < now - SENT_FOR
        ),
    ]


def remove(store: Store, garbage: list[Garbage]) -> list[Garbage]:
    """Remove what was found, unless it is wanted by now, and return what went.

    Args:
        store: the store.
        garbage: as found, in that order.

    Raises:
        RegistryError: when a promotion log is not sound any more: nothing of that model goes.
    """
    by_version: dict[tuple[str, str], list[Garbage]] = {}
    others = []
    for item in garbage:
        if item.version is None:
            others.append(item)
        else:
            by_version.setdefault(item.version, []).append(item)
    removed = _remove_marked(store, others)
    versions = list(by_version)
    for start in range(0, len(versions), VERSIONS_AT_ONCE):
        batch = versions[start : start + VERSIONS_AT_ONCE]
        removed += _remove_marked(store, [item for one in batch for item in by_version[one]])
    return removed


def _remove_marked(store: Store, garbage: list[Garbage]) -> list[Garbage]:
    """Mark versions, remove them and all else unless they are wanted by now, and unmark them."""
    versions = dict.fromkeys(item.version for item in garbage if item.version is not None)
    for model, version in versions:
        mark_for_removal(store, model, version)
    if versions:
        time.sleep(SETTLE_SECONDS)
    wanted = {
        (model, entry.version)
        for model in {model for model, _ in versions}
        for entry in PromotionLog(store, model).history()
    }
    removed = [item for item in garbage if item.version not in wanted]
    for item in removed:
        _remove(store, item.key)
    for model, version in versions:
        with suppress(MissingObject):  # left by a removal that was killed, it was garbage itself
            store.delete(layout.removal_key(model, version))
    return removed


def _remove(store: Store, key: str) -> None:
    path = store.local_path(key)
    if path is not None and _LITTER.fullmatch(path.name):
        path.unlink(missing_ok=True)  # the storage library refuses such a name
    else:
        store.delete(key)


def models_in(store: Store) -> list[str]:
    """Return the names of the models that left anything in the store."""
    return store.children("models")[0]


def _manifest(store: Store, model: str, version: str) -> VersionManifest | EvidenceError | None:
    """Return a version's manifest, None for an unfinished version, or why it is unreadable."""
    key = layout.version_manifest_key(model, version)
    data = store.read_if_present(key)
    try:
        return None if data is None else VersionManifest.from_bytes(data, where=key)
    except EvidenceError as error:
        return error


def _garbage_of(
    version: str,
    objects: list[ObjectInfo],
    manifest: VersionManifest | EvidenceError | None,
    kept: set[str],
    cutoff: datetime,
) -> Iterator[Garbage]:
    if isinstance(manifest, EvidenceError):
        return  # someone must examine it: `verify` names it
    if manifest is not None and version not in kept and _newest(objects) < cutoff:
        # The manifest goes first: a version without it is an unfinished one, and no one's.
        objects = sorted(objects, key=lambda info: info.key.count("/"))
        place = (manifest.model, version)
        yield from (Garbage(info.key, info.size, "an old version", place) for info in objects)
        return
    if manifest is None and _newest(objects) < cutoff:
        yield from (Garbage(info.key, info.size, "an unfinished attempt") for info in objects)
        return
    attempts: dict[str, list[ObjectInfo]] = {}
    for info in objects:
        attempt, slash, _ = info.key.partition(f"/{version}/")[2].partition("/")
        if slash:
            attempts.setdefault(attempt, []).append(info)
    for attempt, files in sorted(attempts.items()):
        if (manifest is None or attempt != manifest.attempt) and _newest(files) < cutoff:
            yield from (Garbage(info.key, info.size, "an unfinished attempt") for info in files)


def _newest(objects: list[ObjectInfo]) -> datetime:
    return max(info.last_modified for info in objects)


def _litter(store: Store, folder: str, cutoff: datetime) -> Iterator[Garbage]:
    """Yield what writers that were killed left on a folder, where the storage library hides it."""
    root = store.local_path("")
    if root is None:
        return
    for path in sorted((root / folder).rglob("*#*")):
        try:
            status = path.stat()
        except FileNotFoundError:  # its writer has finished it meanwhile
            continue
        is_old = datetime.fromtimestamp(status.st_mtime, UTC) < cutoff
        if is_old and path.is_file() and _LITTER.fullmatch(path.name):
            key = path.relative_to(root).as_posix()
            yield Garbage(key, status.st_size, "litter of a killed writer")
