"""What each command that a person uses does."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from include.retraining.cli import tables
from include.retraining.exceptions import ConfigError, RetrainingError
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.registry.reason import checked_reason
from include.retraining.store.marker import initialise, open_store
from include.retraining.store.object_store import URI_VARIABLE

if TYPE_CHECKING:
    from include.retraining.alerts.notice import Notice
    from include.retraining.registry.entry import PromotionEntry


class Result(NamedTuple):
    """What a command found out."""

    value: Any
    """For a machine: documents, data classes, plain values."""
    show: Callable[[], Iterable[Any]]
    """For a person: lines and tables."""
    exit_code: int = 0


def init(chosen: argparse.Namespace) -> Result:
    """Make a place a store."""
    uri = chosen.store or os.environ.get(URI_VARIABLE)
    if not uri:
        raise ConfigError(f"name the place: give --store URI or set {URI_VARIABLE}")
    store = initialise(uri)
    return Result({"store": store.uri}, lambda: [f"{store.uri} is a store"])


def champion(chosen: argparse.Namespace) -> Result:
    """Say what serves."""
    log = _log(chosen)
    entry = log.champion()
    return Result(entry, lambda: [_serves(log, entry)])


def history(chosen: argparse.Namespace) -> Result:
    """List every entry of the promotion log."""
    entries = _log(chosen).history()
    return Result(entries, lambda: [tables.entries(entries)])


def decided(chosen: argparse.Namespace) -> Result:
    """List what the last runs decided."""
    from include.retraining.history.overview import Unreadable, recent_decisions

    found, _ = recent_decisions(_log(chosen).store, chosen.name, limit=chosen.limit)
    is_damaged = any(isinstance(one, Unreadable) for one in found)
    return Result(found, lambda: [tables.decisions(found)], exit_code=1 if is_damaged else 0)


def show(chosen: argparse.Namespace) -> Result:
    """Show one run."""
    from include.retraining.history.lookup import find_run, run_state

    store = open_store(chosen.store)
    paths = find_run(store, chosen.run, chosen.model)
    state = run_state(store, paths)
    where = f"{store.uri}/{paths.folder}"
    return Result(state, lambda: [*tables.run(state), f"Files: {where}"])


def say_why(chosen: argparse.Namespace) -> Result:
    """Say why a model was or was not updated."""
    from include.retraining.history.explain import why

    sentence = why(_log(chosen).store, chosen.name, chosen.date)
    return Result({"why": sentence}, lambda: [sentence])


def verify(chosen: argparse.Namespace) -> Result:
    """Check the promotion log and every version that served."""
    from include.retraining.history.verify import verify as verify_log

    log = _log(chosen)
    check = verify_log(log.store, log.model)
    return Result(check, lambda: tables.check(check), exit_code=1 if check.problems else 0)


def try_version(chosen: argparse.Namespace) -> Result:
    """Let a version that served answer, and change nothing."""
    from include.retraining.config.model import load_model
    from include.retraining.rollback.smoke_test import smoke_test_version

    if chosen.watch_parent:
        from include.retraining.runs.process import die_with_parent

        die_with_parent()
    tried = smoke_test_version(_log(chosen).store, load_model(chosen.name), chosen.version)
    return Result({"tried": tried}, lambda: [tried])


def rollback(chosen: argparse.Namespace) -> Result:
    """Let an earlier version serve again, or say what that would change."""
    from include.retraining.config.model import load_model
    from include.retraining.registry.entry import PromotionKind
    from include.retraining.registry.promotion import Registry
    from include.retraining.rollback.messages import rolled_back
    from include.retraining.rollback.plan import plan_behind, plan_rollback
    from include.retraining.rollback.smoke_test import smoke_test_version

    log, actor = _log(chosen), _user()
    reason = checked_reason(actor, chosen.reason)
    made = log.champion()
    if (
        made is not None
        and (made.kind, made.actor, made.reason) == (PromotionKind.ROLLBACK, actor, reason)
        and chosen.to in {None, made.version}
    ):  # typed again, after a lost connection: one step back, and one message
        lines = ["This was done already.", _serves(log, made)]
        if chosen.dry_run:
            return Result(made, lambda: lines)
        plan = plan_behind(log, made)
        return _changed(made, lines, _told(log, made, rolled_back, plan=plan, tried=""))
    plan = plan_rollback(log.store, chosen.name, chosen.to, seen=chosen.generation)
    tried = smoke_test_version(log.store, load_model(chosen.name), plan.target.version)
    if chosen.dry_run:
        lines = [f"Dry run, nothing was changed. It would be: {plan.summary}.", f"Tried: {tried}."]
        return Result({**plan.model_dump(mode="json"), "tried": tried}, lambda: lines)
    entry = Registry(log.store, log.model).rollback(
        plan.target.version,
        actor=actor,
        reason=reason,
        seen=plan.serving.generation,
    )
    lines = [_serves(log, entry), f"Tried: {tried}.", _no_event(chosen.name)]
    return _changed(entry, lines, _told(log, entry, rolled_back, plan=plan, tried=tried))


def release(chosen: argparse.Namespace) -> Result:
    """Let runs promote again after a rollback."""
    from include.retraining.registry.promotion import Registry
    from include.retraining.rollback.messages import released

    log = _log(chosen)
    entry = Registry(log.store, log.model).release(actor=_user(), reason=chosen.reason)
    since = log.promotion_of(entry).created_at
    told = _told(log, entry, released, serving_since=since)
    return _changed(entry, [_serves(log, entry)], told)


def promote(chosen: argparse.Namespace) -> Result:
    """Let a version serve unjudged."""
    from include.retraining.config.model import load_model
    from include.retraining.steps.decide import promote_unjudged

    log = _log(chosen)
    entry = promote_unjudged(
        log.store,
        chosen.name,
        chosen.version,
        actor=_user(),
        reason=chosen.reason,
        trusted=load_model(chosen.name).training.trusted,
    )
    return Result(entry, lambda: [_serves(log, entry), _no_event(chosen.name)])


def gate_replay(chosen: argparse.Namespace) -> Result:
    """Judge the last runs again by other rules."""
    from include.retraining.cli.config_check import read_text
    from include.retraining.config.model import load_model, parse_policy
    from include.retraining.maintenance.replay import replay

    store = _log(chosen).store
    policy = parse_policy(
        read_text(chosen.policy), load_model(chosen.name), where=str(chosen.policy)
    )
    replayed = replay(store, chosen.name, policy, limit=chosen.limit)
    return Result(replayed, lambda: tables.replayed(replayed))


def reproduce(chosen: argparse.Namespace) -> Result:
    """Train a run again and compare."""
    from include.retraining.history.lookup import find_run
    from include.retraining.maintenance.reproduce import reproduce as train_again

    store = open_store(chosen.store)
    found = train_again(store, find_run(store, chosen.run, chosen.model))
    value = {**found.model_dump(mode="json"), "is_same": found.is_same}
    return Result(value, lambda: found.lines, exit_code=0 if found.is_same else 1)


def collect(chosen: argparse.Namespace) -> Result:
    """Say what no one needs, and remove it where asked to."""
    from include.retraining.maintenance.gc import find_garbage, find_sent_notices, models_in, remove

    store = open_store(chosen.store)
    names = [_log(chosen).model] if chosen.name else models_in(store)
    garbage = [item for name in names for item in find_garbage(store, name, keep=chosen.keep)]
    if not chosen.name:
        garbage += find_sent_notices(store)
    if chosen.delete:
        garbage = remove(store, garbage)
    return Result(garbage, lambda: tables.garbage(garbage, is_removed=chosen.delete))


def audit(chosen: argparse.Namespace) -> Result:
    """Say who triggered and approved what in a period, on which code and data."""
    from include.retraining.history.audit import UNREADABLE
    from include.retraining.history.audit import audit as look_back
    from include.retraining.maintenance.gc import models_in

    store = open_store(chosen.store)
    names = [_log(chosen).model] if chosen.name else models_in(store)
    if chosen.start >= chosen.end:
        raise ConfigError("--from must lie before --to: the period is empty")
    rows = look_back(store, names, chosen.start, chosen.end)
    unreadable = sum(row.what == UNREADABLE for row in rows)
    if unreadable:  # not on the output, which may go to a file
        sys.stderr.write(f"{unreadable} objects cannot be read: see the rows `{UNREADABLE}`\n")
    chosen.json = chosen.json or chosen.format == "json"
    return Result(rows, lambda: [tables.audit(rows)], exit_code=1 if unreadable else 0)


def config_diff(chosen: argparse.Namespace) -> Result:
    """Say what changed in the models since a revision, and what the new gates say of the past."""
    from include.retraining.cli.config_diff import compare, read_models
    from include.retraining.cli.config_report import judge_again, markdown
    from include.retraining.cli.git import model_texts

    uri = chosen.store or os.environ.get(URI_VARIABLE) or None
    diffs = compare(model_texts(chosen.base), read_models())
    reports = [judge_again(diff, uri, limit=chosen.limit) for diff in diffs]
    return Result(reports, lambda: [markdown(reports)])


def watch(chosen: argparse.Namespace) -> Result:  # noqa: ARG001 it takes nothing but the environment
    """Look once from outside of Airflow; quiet when all is well."""
    from include.retraining.exceptions import RetrainingError
    from include.retraining.watch.external import watch as look

    problems = look(os.environ)
    if problems:
        raise RetrainingError("\n".join(problems))
    return Result([], list)


def validate_config(chosen: argparse.Namespace) -> Result:
    """Check models' YAML and, for those that are installed, their Python files."""
    from include.retraining.cli.config_check import check
    from include.retraining.config.model import MODELS_FOLDER, model_names, write_schema

    if chosen.write_schema:
        write_schema()
    files = chosen.files or [MODELS_FOLDER / f"{name}.yaml" for name in model_names()]
    checked = [check(file) for file in files]
    problems = [problem for one in checked for problem in one.problems]
    if problems:
        raise ConfigError("\n".join(problems))
    if not checked:
        raise ConfigError(f"there is no model in {MODELS_FOLDER}")
    warnings = {one.where: list(one.warnings) for one in checked if one.warnings}
    value = {
        "valid": [one.where for one in checked],
        **({"warnings": warnings} if warnings else {}),
    }
    lines = [
        line
        for one in checked
        for line in (f"{one.where}: valid", *(f"  warning: {text}" for text in one.warnings))
    ]
    return Result(value, lambda: lines)


def _serves(log: PromotionLog, entry: PromotionEntry | None) -> str:
    """Say what serves by an entry, and since when."""
    if entry is None:
        return f"{log.model}: nothing serves yet"
    return tables.champion_line(entry, log.promotion_of(entry))


def _changed(entry: PromotionEntry, lines: list[str], told: str) -> Result:
    """Return an entry that was made, and who hears of it."""
    value = {**entry.model_dump(mode="json"), "told": told}
    return Result(value, lambda: [*lines, told])


def _no_event(model: str) -> str:
    """Say who does not hear of a change that a command made."""
    return (
        "No asset event was emitted: a command cannot. DAGs that wait for the asset "
        f"`{model}_champion` hear of it at the next promotion; until then trigger them yourself, "
        "or tell who owns them."
    )


def _told(
    log: PromotionLog, entry: PromotionEntry, notice_of: Callable[..., Notice], **facts: Any
) -> str:
    """Leave the message about an entry in the outbox, and say whether that could be done."""
    from include.retraining.alerts.notice import Links
    from include.retraining.alerts.outbox import post
    from include.retraining.config.model import load_model
    from include.retraining.store.layout import promotion_key

    record = f"{log.store.uri}/{promotion_key(entry.model, entry.generation)}"
    try:
        config = load_model(entry.model)
        post(log.store, notice_of(entry, config, Links(record=record), **facts))
    except RetrainingError as error:  # what was asked for is done
        return f"Nobody is told: {error}."
    return "Slack is told by the next pass of `watch_models`."


def _user() -> str:
    """Return who types this.

    Raises:
        ConfigError: when the system does not say.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:  # Python 3.11 and 3.12 raise the first
        raise ConfigError("nobody knows who you are: set USER to your name") from error


def _log(chosen: argparse.Namespace) -> PromotionLog:
    """Open a model's promotion log; a name that nothing is known of is a slip, not a new model."""
    log = PromotionLog(open_store(chosen.store), chosen.name)
    if chosen.name not in log.store.children("models")[0]:
        from include.retraining.config.model import load_model

        load_model(chosen.name)
    return log
