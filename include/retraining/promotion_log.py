"""The promotion log: numbered entries, each holding the digest of the one before it.

An entry is put only if its number is free, so two writers cannot both succeed, and nothing is ever
updated. The highest entry serves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from include.retraining import layout
from include.retraining.config import NAME_PATTERN
from include.retraining.documents import sha256_of
from include.retraining.exceptions import EvidenceError, NotFound, RegistryError
from include.retraining.manifest import Serving
from include.retraining.promotions import PromotionEntry, PromotionKind
from include.retraining.storage import MissingObject, Store
from include.retraining.store_marker import require_initialised

ENTRY_NAME = re.compile(r"([0-9]{8})\.json")
CLOCK_TOLERANCE = timedelta(days=1)
"""How far the clocks of two machines that write here may be apart."""
BEST_OF = 10
_BATCH = 10


def serving_of(entry: PromotionEntry) -> Serving:
    """Return the version and generation of an entry."""
    return Serving(version=entry.version, generation=entry.generation)


class PromotionLog:
    """One model's promotion log."""

    def __init__(self, store: Store, model: str) -> None:
        if not re.fullmatch(NAME_PATTERN, model):
            raise NotFound(f"no model {model!r}: a model's name is like loan_approval")
        self.store = store
        self.model = model

    def champion(self) -> PromotionEntry | None:
        """Return the entry that serves, checked against the one before it.

        Returns:
            None only when the store says that this model was never promoted.

        Raises:
            RegistryError: when the newest entry cannot be read or does not follow the one before.
        """
        head = self.head()
        return self.entry(head) if head else None

    def serving(self) -> Serving | None:
        """Return which version serves."""
        entry = self.champion()
        return None if entry is None else serving_of(entry)

    def hold(self) -> PromotionEntry | None:
        """Return the rollback that holds automatic promotion now, or None when nothing does."""
        for entry in self.newest_first():
            if not entry.is_held:
                break
            if entry.kind is PromotionKind.ROLLBACK:
                return entry
        return None

    def history(self) -> list[PromotionEntry]:
        """Return every entry, oldest first, with the whole chain checked."""
        return self._entries(1, self.head())

    def newest_first(self) -> Iterator[PromotionEntry]:
        """Yield the entries from the one that serves to the first, reading as few as needed."""
        upper = self.head()
        while upper > 0:
            lower = max(1, upper - _BATCH + 1)
            yield from reversed(self._entries(lower, upper))
            upper = lower - 1

    def best_of_last(self, metric: str, n: int = BEST_OF) -> PromotionEntry | None:
        """Return the champion with the best score among the last ``n``.

        A champion that a person rolled back is no yardstick, nor is any before a version that was
        promoted unjudged.

        Args:
            metric: the decision metric; entries by another one do not count.
            n: how many different versions to look back.
        """
        best: tuple[float, PromotionEntry] | None = None
        seen: set[str] = set()
        rolled_back: set[str] = set()
        for entry in self.newest_first():
            if entry.version not in seen | rolled_back:
                seen.add(entry.version)
                value = entry.value if entry.metric == metric else None
                if value is not None and (best is None or value > best[0]):
                    best = (value, entry)
            if entry.kind is PromotionKind.UNJUDGED or len(seen) >= n:
                break
            if entry.kind is PromotionKind.ROLLBACK:
                rolled_back |= {self.entry(entry.generation - 1).version} - seen
        return best and best[1]

    def served(self, version: str) -> PromotionEntry:
        """Return the newest entry by which a version serves or served.

        Raises:
            NotFound: when it never did.
        """
        for entry in self.newest_first():
            if entry.version == version:
                return entry
        raise NotFound(
            f"{self.model}: version {version!r} never served, so there is no way back to it; "
            f"see `history {self.model}`"
        )

    def made_by(self, request: str, since: datetime) -> PromotionEntry | None:
        """Return the entry that a person's request made, or None.

        Args:
            request: as the entry holds it.
            since: when it was asked, or earlier; older entries are not read.
        """
        for entry in self.newest_first():
            if entry.created_at < since - CLOCK_TOLERANCE:
                break
            if entry.request == request:
                return entry
        return None

    def entry(self, generation: int) -> PromotionEntry:
        """Return one entry that must be there, checked against the one before it."""
        return self._entries(generation, generation)[0]

    def head(self) -> int:
        """Return the highest generation, with the numbering checked; 0 for an empty log.

        Raises:
            RegistryError: when an entry is missing.
            StoreNotInitialised: when the log is empty because the place is no store.
        """
        numbers = [int(match[1]) for name in self.names() if (match := ENTRY_NAME.fullmatch(name))]
        if not numbers:
            require_initialised(self.store)
            return 0
        missing = set(range(1, max(numbers) + 1)) ^ set(numbers)
        if missing:
            key = layout.promotion_key(self.model, min(missing))
            raise RegistryError(f"{self.store.uri}/{key}: the log's numbering is broken here")
        return max(numbers)

    def names(self) -> list[str]:
        """Return the names of all objects in the log's folder."""
        found = self.store.objects(self.folder)
        return [info.key.removeprefix(f"{self.folder}/") for info in found]

    @property
    def folder(self) -> str:
        """Where the entries lie."""
        return layout.promotion_key(self.model, 0).rsplit("/", 1)[0]

    def append(self, entry: PromotionEntry) -> PromotionEntry | None:
        """Put an entry if its number is free, chained to the one before it, and read it back.

        Returns:
            The entry as stored, or None when another entry has the number.

        Raises:
            RegistryError: when what was written cannot be read back.
        """
        before = self._read(entry.generation - 1) if entry.generation > 1 else None
        chained = entry.model_copy(update={"previous_sha256": before and sha256_of(before)})
        key, data = layout.promotion_key(self.model, entry.generation), chained.to_bytes()
        if not self.store.create(key, data):
            return None
        if self.store.read(key) != data:
            raise RegistryError(f"{self.store.uri}/{key}: what was written cannot be read back")
        return chained

    def _entries(self, first: int, last: int) -> list[PromotionEntry]:
        """Return entries ``first`` to ``last``, each checked against the one before it."""
        wanted = range(max(first - 1, 1), last + 1)
        with ThreadPoolExecutor(max_workers=8) as pool:
            stored = dict(zip(wanted, pool.map(self._read, wanted), strict=True))
        return [
            self._checked(stored[number], number, stored.get(number - 1))
            for number in range(first, last + 1)
        ]

    def _read(self, generation: int) -> bytes:
        key = layout.promotion_key(self.model, generation)
        try:
            return self.store.read(key)
        except MissingObject as error:
            raise RegistryError(f"{self.store.uri}/{key} is missing") from error

    def _checked(self, data: bytes, generation: int, before: bytes | None) -> PromotionEntry:
        key = layout.promotion_key(self.model, generation)
        try:
            entry = PromotionEntry.from_bytes(data, where=key)
        except EvidenceError as error:
            raise RegistryError(f"the promotion log is not readable: {error}") from error
        if (entry.model, entry.generation) != (self.model, generation):
            raise RegistryError(f"{key}: is of {entry.model}, generation {entry.generation}")
        if entry.previous_sha256 != (before and sha256_of(before)):
            raise RegistryError(f"{key}: does not follow the entry before it, one was altered")
        return entry
