"""`try`: a model, or a version of it, is tried; nothing that serves changes."""

from __future__ import annotations

import logging
import sys
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

from typer import BadParameter, Option

from include.retraining.cli import tables
from include.retraining.cli.answer import print_answer
from include.retraining.cli.commands.promotion import try_version
from include.retraining.cli.opening import user
from include.retraining.cli.options import AsJson, Name, read_day

if TYPE_CHECKING:
    from include.retraining.store.object_store import Store
    from include.retraining.trial.model_trial import Trial, Trier
    from include.retraining.trial.trial_data import TrialData

EXIT_FAIL = 3
EXIT_CANNOT_JUDGE = 4
_EXIT_CODES = {"pass": 0, "fail": EXIT_FAIL, "cannot_judge": EXIT_CANNOT_JUDGE}

_DATA = "a file or a folder; default: data.location in $RETRAINING_STORE"
_AGAINST = "an earlier delivery, whose model is the champion"
_STORE = "where the trial's store is; default: a temporary folder"
_VERSION = "load this version that served and predict the last holdout, and nothing else"


def try_model(
    name: Name,
    *,
    data: Annotated[str | None, Option(metavar="FILE|FOLDER", help=_DATA)] = None,
    against: Annotated[str | None, Option(metavar="FILE|FOLDER", help=_AGAINST)] = None,
    store: Annotated[str | None, Option(metavar="DIR|URI", help=_STORE)] = None,
    day: Annotated[
        date | None,
        Option("--date", parser=read_day, metavar="DAY", help="of the data; default: today"),
    ] = None,
    version: Annotated[str | None, Option(metavar="VERSION", help=_VERSION)] = None,
    watch_parent: Annotated[
        bool, Option("--watch-parent", help="end when standard input is closed")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Try a model without Airflow and without promoting it.

    Contract, training, evaluation, gates and card, by the code of a run. Ends with 0 when every
    gate passed, 3 when one failed, 4 when it cannot be judged, and 1 when it did not come that far.
    """
    if version is not None:
        if (data, against, day) != (None, None, None):
            raise BadParameter("goes with --store only", param_hint="'--version'")
        return try_version(
            name, version=version, watch_parent=watch_parent, store=store, as_json=as_json
        )
    from include.retraining.config.model import load_model
    from include.retraining.trial.model_trial import Trier
    from include.retraining.trial.trial_data import data_of_yaml, named_data
    from include.retraining.trial.trial_store import store_in_use, trial_store

    config = load_model(name)
    day = day or datetime.now(ZoneInfo(config.trigger.timezone)).date()
    delivery = data_of_yaml(config, store_in_use(store), day) if data is None else named_data(data)
    earlier = None if against is None else named_data(against)
    _show_progress()
    with trial_store(store, name, must_be_new=earlier is not None) as opened:
        trier = Trier(opened, config, day, user(), _print_progress)
        if earlier is not None:
            _make_champion(trier, earlier)
        trial = trier.try_model(delivery)
        return _print_trial(trial, opened, against, as_json=as_json)


def _make_champion(trier: Trier, earlier: TrialData) -> None:
    """Let the model of an earlier delivery be the champion."""
    _print_progress(f"first, the champion: the model of {earlier.name}")
    verdict = trier.make_champion(earlier)
    _print_progress(f"it serves: {verdict.headline}; now the challenger")


def _show_progress() -> None:
    """Have the steps' own lines printed beside ours: standard output is for the answer."""
    logging.basicConfig(format="  %(message)s", stream=sys.stderr)
    logging.getLogger("include").setLevel(logging.INFO)


def _print_progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _print_trial(trial: Trial, store: Store, earlier: str | None, *, as_json: bool) -> int:
    verdict = trial.verdict
    value = {
        "model": trial.manifest.model,
        "run": trial.manifest.run_id,
        "version": trial.manifest.version,
        "champion": trial.manifest.champion,
        "verdict": verdict,
        "card": trial.card,
        "store": store.uri,
    }
    return print_answer(
        value,
        lambda: tables.trial(trial, store.uri, earlier),
        as_json=as_json,
        exit_code=_EXIT_CODES[verdict.answer.value],
    )
