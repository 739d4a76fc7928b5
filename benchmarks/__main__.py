"""`python -m benchmarks [PART …]`: measure the parts, and print one table."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import (
    backends,
    calibration,
    drift,
    events,
    fleet,
    gate,
    history,
    large,
    margins,
    parse,
    peers,
    serving,
    small,
    ui,
    validate,
    watch,
    windows,
)
from benchmarks.measuring import Row

PARTS = {
    "parse": parse.measure,
    "validate": validate.measure,
    "gate": gate.measure,
    "calibration": calibration.measure,
    "small": small.measure,
    "backends": backends.measure,
    "serving": serving.measure,
    "ui": ui.measure,
    "watch": watch.measure,
    "large": large.measure,
    "margins": margins.measure,
    "windows": windows.measure,
    "drift": drift.measure,
    "events": events.measure,
    "fleet": fleet.measure,
    "history": history.measure,
    "peers": peers.measure,
}
LONG = {"events", "fleet", "history", "peers"}
"""Up to an hour each, or to be installed first: measured only when they are named."""


def main() -> int:
    """Measure the chosen parts and return 1 when a ratio breaks its limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], help="all but the long ones when none is named"
    )
    chosen = parser.parse_args().parts or [part for part in PARTS if part not in LONG]
    console = Console(width=130)
    rows: list[Row] = []
    for part in chosen:
        console.print(f"Measuring {part} …")
        # Millions of rows do not belong in a /tmp that may be in memory.
        with tempfile.TemporaryDirectory(prefix=f"bench-{part}-", dir=_roomy_folder()) as folder:
            rows += PARTS[part](Path(folder))
    console.print(_table(rows))
    return 0 if all(row.is_good for row in rows) else 1


def _roomy_folder() -> Path:
    folder = Path(__file__).resolve().parents[1] / ".local"
    folder.mkdir(exist_ok=True)
    return folder


def _table(rows: list[Row]) -> Table:
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    table = Table("part", "what", "ours", "theirs", "ratio", "limit", title=machine)
    for row in rows:
        style = "" if row.is_good else "red"
        table.add_row(
            row.part,
            row.what,
            row.ours,
            row.theirs,
            "" if row.ratio is None else f"{row.ratio:.2f} ×",  # noqa: RUF001 times
            "" if row.limit is None else f"{row.limit:.2f} ×",  # noqa: RUF001 times
            style=style,
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
