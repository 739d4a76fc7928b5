"""Doing the same with many things side by side, for a limited time, and failing at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from include.retraining.exceptions import RetrainingError

if TYPE_CHECKING:
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 16
"""How many are handled at once: a bucket answers late, and to many at a time."""
SECONDS = 4 * 60.0
"""After which nothing else of the kind is begun; three of them end before `execution_timeout`."""
MAX_PROBLEMS = 20
"""How many problems an error names, when all models have the same."""
_NOT_BEGUN = object()


def each(
    items: Iterable[Item],
    act: Callable[[Item], Result],
    *,
    until: float | None = None,
    left: list[Item] | None = None,
) -> Iterator[tuple[Item, Result]]:
    """Yield what was done with each item, in their order; go on past one that fails.

    Args:
        items: the items.
        act: is called for several items at once.
        until: begin none after this time (`time.monotonic`).
        left: takes the items that were not begun.

    Raises:
        RetrainingError: at the end, with all that failed.
    """

    def begin(item: Item) -> Result | object:
        return _NOT_BEGUN if until is not None and time.monotonic() >= until else act(item)

    problems: list[str] = []
    pool = ThreadPoolExecutor(max_workers=AT_ONCE)
    try:
        for item, future in [(item, pool.submit(begin, item)) for item in items]:
            try:
                result = future.result()
            except Exception as error:  # the next item must be handled after any error
                problems.append(f"{type(error).__name__}: {error}")
                log.exception("it failed for %s", item)
                continue
            if result is not _NOT_BEGUN:
                yield item, result  # type: ignore[misc]
            elif left is not None:
                left.append(item)
    finally:
        pool.shutdown(cancel_futures=True)
    if problems:
        more = len(problems) - MAX_PROBLEMS
        named = [*problems[:MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else [])]
        raise RetrainingError("; ".join(named))


def in_turn(
    store: Store,
    task: str,
    names: Iterable[str],
    act: Callable[[str], Result],
    *,
    seconds: float = SECONDS,
) -> Iterator[tuple[str, Result]]:
    """Do as `each`, beginning with what the last pass did not get to in its time.

    Args:
        store: remembers that.
        task: under which name.
        names: of the items.
        act: is called with several names at once.
        seconds: after which no other is begun: the next pass goes on there.
    """
    from include.retraining.watch.progress import resumed, write_resume

    ordered = resumed(store, task, list(names))
    left: list[str] = []
    try:
        yield from each(ordered, act, until=time.monotonic() + seconds, left=left)
    finally:
        if left:
            log.warning(
                "%d of %d were not begun within %g s: the next pass begins with them",
                len(left),
                len(ordered),
                seconds,
            )
            write_resume(store, task, left[0])
        elif ordered != sorted(ordered):
            write_resume(store, task, None)


def going_on(results: Iterator[Result], problems: list[str]) -> Iterator[Result]:
    """Yield all results; what fails at the end is added to the problems, and not raised."""
    try:
        yield from results
    except RetrainingError as error:
        problems.append(str(error))
