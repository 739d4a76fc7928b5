"""Signs of life: what the demonstration is doing, and for how long.

On a terminal one line that is drawn over, with a spinner and the seconds; elsewhere a line for each
change, and one from time to time while nothing changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

REPEAT_SECONDS = 15.0
"""After which the same line is printed again where nothing is drawn over."""

Report = Callable[[str], None]
"""Takes what is being done, as often as one likes."""


@contextmanager
def activity(console: Console) -> Iterator[Report]:
    """Show what is reported for as long as the block lasts; what is printed meanwhile is above it.

    Args:
        console: where to show it.
    """
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=console, transient=True) as progress:
        shown = progress.add_task("")
        yield lambda doing: progress.update(shown, description=doing)


def _lines(console: Console) -> Report:
    started = time.monotonic()
    last, printed_at = "", started

    def report(doing: str) -> None:
        nonlocal last, printed_at
        now = time.monotonic()
        if doing != last or now - printed_at >= REPEAT_SECONDS:
            console.print(Text(f"{now - started:5.0f} s  {doing}"), soft_wrap=True)
            last, printed_at = doing, now

    return report
