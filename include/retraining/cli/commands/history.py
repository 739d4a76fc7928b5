"""Commands that read: the champion, its history, runs and decisions."""

from __future__ import annotations

import sys
from datetime import date, datetime
from typing import Annotated, Literal

from typer import Option

from include.retraining.cli import tables
from include.retraining.cli.answer import print_answer
from include.retraining.cli.opening import open_log
from include.retraining.cli.options import (
    AsJson,
    Limit,
    Name,
    Run,
    RunsModel,
    StoreUri,
    read_day,
    read_end,
    read_start,
)
from include.retraining.exceptions import ConfigError
from include.retraining.store.marker import open_store


def champion(name: Name, store: StoreUri = None, as_json: AsJson = False) -> int:
    """Show the champion."""
    log = open_log(store, name)
    entry = log.champion()
    return print_answer(entry, lambda: [tables.champion(log, entry)], as_json=as_json)


def history(name: Name, store: StoreUri = None, as_json: AsJson = False) -> int:
    """List every promotion and rollback."""
    entries = open_log(store, name).history()
    return print_answer(entries, lambda: [tables.entries(entries)], as_json=as_json)


def decisions(
    name: Name, limit: Limit = 20, store: StoreUri = None, as_json: AsJson = False
) -> int:
    """List what the last runs decided."""
    from include.retraining.history.overview import Unreadable, recent_decisions

    records, _ = recent_decisions(open_log(store, name).store, name, limit=limit)
    is_damaged = any(isinstance(record, Unreadable) for record in records)
    return print_answer(
        records, lambda: [tables.decisions(records)], as_json=as_json, exit_code=int(is_damaged)
    )


def show(run: Run, model: RunsModel = None, store: StoreUri = None, as_json: AsJson = False) -> int:
    """Show one run: its decision, or its plan."""
    from include.retraining.history.lookup import find_run, run_state

    opened = open_store(store)
    paths = find_run(opened, run, model)
    state = run_state(opened, paths)
    files = f"Files: {opened.uri}/{paths.folder}"
    return print_answer(state, lambda: [*tables.run(state), files], as_json=as_json)


def why(
    name: Name,
    day: Annotated[
        date | None,
        Option("--date", parser=read_day, metavar="YYYY-MM-DD", help="of the data or the run"),
    ] = None,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """Explain why a model was or was not updated."""
    from include.retraining.history.explain import why as explain

    sentence = explain(open_log(store, name).store, name, day)
    return print_answer({"why": sentence}, lambda: [sentence], as_json=as_json)


def silences(store: StoreUri = None, as_json: AsJson = False) -> int:
    """List which messages are silenced, and why."""
    from include.retraining.notifications.silences import open_silences

    lasting = open_silences(open_store(store))
    return print_answer(lasting, lambda: [tables.silences(lasting)], as_json=as_json)


def verify(name: Name, store: StoreUri = None, as_json: AsJson = False) -> int:
    """Check the promotion log and each version that served."""
    from include.retraining.history.verify import verify as verify_log

    log = open_log(store, name)
    check = verify_log(log.store, log.model)
    return print_answer(
        check, lambda: tables.check(check), as_json=as_json, exit_code=int(bool(check.problems))
    )


def audit(
    *,
    start: Annotated[
        datetime,
        Option(
            "--from",
            parser=read_start,
            metavar="TIME",
            help="2026-11-01 (a day in UTC) or 2026-11-01T06:00+01:00",
        ),
    ],
    end: Annotated[
        datetime, Option("--to", parser=read_end, metavar="TIME", help="a day is included")
    ],
    name: Annotated[str | None, Option("--model", metavar="NAME", help="default: all")] = None,
    output: Annotated[Literal["csv", "json"], Option("--format")] = "csv",
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """List who triggered and approved what in a period.

    With the code and the data of each run, over all models.
    """
    from include.retraining.history.audit import UNREADABLE
    from include.retraining.history.audit import audit as audit_models
    from include.retraining.maintenance.gc import models_in

    opened = open_store(store)
    names = [open_log(store, name).model] if name else models_in(opened)
    if start >= end:
        raise ConfigError("--from must lie before --to: the period is empty")
    rows = audit_models(opened, names, start, end)
    unreadable = sum(row.what == UNREADABLE for row in rows)
    if unreadable:  # not on the output, which may go to a file
        sys.stderr.write(f"{unreadable} objects cannot be read: see the rows `{UNREADABLE}`\n")
    return print_answer(
        rows,
        lambda: [tables.audit(rows)],
        as_json=as_json or output == "json",
        exit_code=int(bool(unreadable)),
    )
