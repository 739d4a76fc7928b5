"""The promotion log: numbered entries, each holding the digest of the one before it.

An entry is put only if its number is free, so two writers cannot both succeed, and nothing is ever
updated. The highest entry serves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from include.retraining.config.model import NAME_PATTERN
from include.retraining.documents import sha256_of
from include.retraining.exceptions import EvidenceError, MissingObject, NotFound, RegistryError
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.runs.manifest import Serving
from include.retraining.store import layout
from include.retraining.store.marker import require_initialised
from include.retraining.store.object_store import Store

ENTRY_NAME = re.compile(r"([0-9]{8})\.json")
CLOCK_TOLERANCE = timedelta(days=1)
"""How far the clocks of two machines that write here may differ."""
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
            None only when the store shows that this model was never promoted.

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

        A champion that was rolled back does not count, nor does any before a version that was
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

    def promotion_of(self, entry: PromotionEntry) -> PromotionEntry:
        """Return the entry that put this version in service: a promotion or a rollback."""
        while entry.kind is PromotionKind.RELEASE:
            entry = self.entry(entry.generation - 1)
        return entry

    def last_promotion(self, champion: PromotionEntry) -> PromotionEntry:
        """Return the newest entry by which the champion's version was promoted.

        A rollback and its release promote nothing: behind them it is the promotion of before.
        """
        promotes = {PromotionKind.PROMOTION, PromotionKind.UNJUDGED}
        return next(
            entry
            for entry in self.newest_first()
            if entry.version == champion.version and entry.kind in promotes
        )

    def entry_for_request(self, request: str, since: datetime) -> PromotionEntry | None:
        """Return the entry that a user's request made, or None.

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
        numbers = self._numbers()
        broken = self._breaks(numbers)
        if broken:
            raise RegistryError(broken[0])
        return max(numbers, default=0)

    def examine(self) -> tuple[list[PromotionEntry], list[str]]:
        """Return every entry that can be read, oldest first, and all that is wrong with the log.

        Raises:
            StoreNotInitialised: when the log is empty because the place is no store.
        """
        numbers = self._numbers()
        entries, problems = [], self._breaks(numbers)
        stored = self._stored(numbers)
        for generation in numbers:
            try:
                entry = self._parsed(stored[generation], generation)
                entries.append(entry)
                if generation == 1 or generation - 1 in stored:
                    self._require_link(entry, stored.get(generation - 1))
            except RegistryError as error:
                problems.append(str(error))
        return entries, problems

    def names(self) -> list[str]:
        """Return the names of all objects in the log's folder."""
        objects = self.store.objects(self.folder)
        return [info.key.removeprefix(f"{self.folder}/") for info in objects]

    def _numbers(self) -> list[int]:
        """Return the numbers of the entries, in order."""
        numbers = [int(match[1]) for name in self.names() if (match := ENTRY_NAME.fullmatch(name))]
        if not numbers:
            require_initialised(self.store)
        return sorted(numbers)

    def _breaks(self, numbers: list[int]) -> list[str]:
        """Say where the numbering is broken."""
        wrong = set(range(1, max(numbers, default=0) + 1)) ^ set(numbers)
        keys = (layout.promotion_key(self.model, number) for number in sorted(wrong))
        return [f"{self.store.uri}/{key}: the log's numbering is broken here" for key in keys]

    @property
    def folder(self) -> str:
        """Where the entries lie."""
        return layout.promotion_key(self.model, 0).rsplit("/", 1)[0]

    def _entries(self, first: int, last: int) -> list[PromotionEntry]:
        """Return entries ``first`` to ``last``, each checked against the one before it."""
        stored = self._stored(range(max(first - 1, 1), last + 1))
        entries = []
        for number in range(first, last + 1):
            entry = self._parsed(stored[number], number)
            self._require_link(entry, stored.get(number - 1))
            entries.append(entry)
        return entries

    def _stored(self, generations: Sequence[int]) -> dict[int, bytes]:
        with ThreadPoolExecutor(max_workers=8) as pool:
            return dict(zip(generations, pool.map(self.read, generations), strict=True))

    def read(self, generation: int) -> bytes:
        """Return the bytes of one entry that must be there."""
        key = layout.promotion_key(self.model, generation)
        try:
            return self.store.read(key)
        except MissingObject as error:
            raise RegistryError(f"{self.store.uri}/{key} is missing") from error

    def _parsed(self, data: bytes, generation: int) -> PromotionEntry:
        key = layout.promotion_key(self.model, generation)
        try:
            entry = PromotionEntry.from_bytes(data, where=key)
        except EvidenceError as error:
            raise RegistryError(f"the promotion log is not readable: {error}") from error
        if (entry.model, entry.generation) != (self.model, generation):
            raise RegistryError(
                f"{key}: entry {generation} of {self.model} says that it is entry "
                f"{entry.generation} of {entry.model}: it was altered"
            )
        return entry

    def _require_link(self, entry: PromotionEntry, before: bytes | None) -> None:
        """Refuse an entry that does not follow the one before it."""
        if entry.previous_sha256 != (before and sha256_of(before)):
            key = layout.promotion_key(self.model, entry.generation)
            raise RegistryError(f"{key}: does not follow the entry before it, one was altered")
