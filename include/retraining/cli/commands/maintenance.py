"""Commands around a store and its runs: create it, clean it, judge or train again, watch it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from include.retraining.cli import tables
from include.retraining.cli.answer import print_answer
from include.retraining.cli.opening import open_log
from include.retraining.cli.options import AsJson, Limit, Name, Run, RunsModel, StoreUri, read_count
from include.retraining.exceptions import ConfigError, RetrainingError
from include.retraining.store.marker import initialise, open_store
from include.retraining.store.object_store import URI_VARIABLE


def init(store: StoreUri = None, as_json: AsJson = False) -> int:
    """Make a place a store."""
    uri = store or os.environ.get(URI_VARIABLE)
    if not uri:
        raise ConfigError(f"name the place: give --store URI or set {URI_VARIABLE}")
    created = initialise(uri).uri
    return print_answer({"store": created}, lambda: [f"{created} is a store"], as_json=as_json)


def gate_replay(
    name: Name,
    policy: Annotated[
        Path,
        Option(metavar="FILE", help="a model's YAML, or only its `gates:`", show_default=False),
    ],
    limit: Limit = 20,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """Judge the last runs again by other rules.

    Shows which decisions would flip.
    """
    from include.retraining.cli.config_check import read_text
    from include.retraining.config.model import load_model, parse_policy
    from include.retraining.maintenance.replay import replay

    opened = open_log(store, name).store
    gates = parse_policy(read_text(policy), load_model(name), where=str(policy))
    replayed = replay(opened, name, gates, limit=limit)
    return print_answer(replayed, lambda: tables.replayed(replayed), as_json=as_json)


def reproduce(
    run: Run, model: RunsModel = None, store: StoreUri = None, as_json: AsJson = False
) -> int:
    """Train a run again and compare."""
    from include.retraining.history.lookup import find_run
    from include.retraining.maintenance.reproduce import reproduce as train_again

    opened = open_store(store)
    comparison = train_again(opened, find_run(opened, run, model))
    value = {**comparison.model_dump(mode="json"), "is_same": comparison.is_same}
    return print_answer(
        value, lambda: comparison.lines, as_json=as_json, exit_code=int(not comparison.is_same)
    )


def gc(
    name: Annotated[str | None, Argument(metavar="NAME", help="one model (default: all)")] = None,
    delete: Annotated[bool, Option("--delete", help="remove it")] = False,
    keep: Annotated[
        int, Option(parser=read_count, metavar="N", help="the newest versions to keep")
    ] = 10,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """List what no one needs; --delete removes it.

    Versions are marked first and removed half a minute later.
    """
    from include.retraining.maintenance.gc import (
        find_garbage,
        find_outbox_garbage,
        models_in,
        remove,
    )

    opened = open_store(store)
    names = [open_log(store, name).model] if name else models_in(opened)
    garbage = [item for model in names for item in find_garbage(opened, model, keep=keep)]
    if not name:
        garbage += find_outbox_garbage(opened)
    if delete:
        garbage = remove(opened, garbage)
    return print_answer(
        garbage, lambda: tables.garbage(garbage, is_removed=delete), as_json=as_json
    )


def watch(as_json: AsJson = False) -> int:
    """Check once whether Airflow and the store are well.

    For cron, outside of Airflow: it prints nothing when all is well, and takes everything from
    the environment.
    """
    from include.retraining.watch.external import watch as find_problems

    problems = find_problems(os.environ)
    if problems:
        raise RetrainingError("\n".join(problems))
    return print_answer([], list, as_json=as_json)
