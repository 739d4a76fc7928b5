"""Commands that change the champion, and what `try --version` does before."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from include.retraining.approval.reason import checked_reason
from include.retraining.cli import tables
from include.retraining.cli.answer import print_answer
from include.retraining.cli.opening import open_log, user
from include.retraining.cli.options import AsJson, Name, Reason, StoreUri, Version, read_count
from include.retraining.exceptions import RetrainingError

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Notice
    from include.retraining.registry.entry import PromotionEntry
    from include.retraining.registry.promotion_log import PromotionLog


Target = Annotated[str | None, Option(metavar="VERSION", help="default: the champion before")]
_SEEN = "the champion's, as you saw it: nothing else is rolled back"
SeenGeneration = Annotated[int | None, Option(parser=read_count, metavar="N", help=_SEEN)]


def rollback(
    name: Name,
    *,
    reason: Reason,
    to: Target = None,
    generation: SeenGeneration = None,
    dry_run: Annotated[bool, Option("--dry-run", help="only show what it would change")] = False,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """Make an earlier version the champion again."""
    from include.retraining.config.model import load_model
    from include.retraining.registry.promotion import Registry
    from include.retraining.rollback.messages import rolled_back
    from include.retraining.rollback.plan import plan_rollback
    from include.retraining.rollback.smoke_test import smoke_test_version

    log, actor = open_log(store, name), user()
    reason = checked_reason(actor, reason)
    champion = log.champion()
    if champion is not None and _is_this_rollback(champion, actor, reason, to):
        return _repeat_rollback(log, champion, is_dry_run=dry_run, as_json=as_json)
    plan = plan_rollback(log.store, name, to, seen=generation)
    tried = smoke_test_version(log.store, load_model(name), plan.target.version)
    if dry_run:
        lines = [f"Dry run, nothing was changed. It would be: {plan.summary}.", f"Tried: {tried}."]
        value = {**plan.model_dump(mode="json"), "tried": tried}
        return print_answer(value, lambda: lines, as_json=as_json)
    entry = Registry(log.store, log.model).rollback(
        plan.target.version, actor=actor, reason=reason, seen=plan.serving.generation
    )
    lines = [tables.champion(log, entry), f"Tried: {tried}.", _no_event(name)]
    notice = _notify(log, entry, rolled_back, plan=plan, tried=tried)
    return _print_change(entry, lines, notice, as_json=as_json)


def try_version(
    name: Name,
    *,
    version: Version,
    watch_parent: Annotated[
        bool, Option("--watch-parent", help="end when standard input is closed")
    ] = False,
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """Load a version that served and predict the last holdout."""
    from include.retraining.config.model import load_model
    from include.retraining.rollback.smoke_test import smoke_test_version

    if watch_parent:
        from include.retraining.runs.process import die_with_parent

        die_with_parent()
    tried = smoke_test_version(open_log(store, name).store, load_model(name), version)
    return print_answer({"tried": tried}, lambda: [tried], as_json=as_json)


def release(name: Name, reason: Reason, store: StoreUri = None, as_json: AsJson = False) -> int:
    """Allow runs to promote again after a rollback."""
    from include.retraining.registry.promotion import Registry
    from include.retraining.rollback.messages import released

    log = open_log(store, name)
    entry = Registry(log.store, log.model).release(actor=user(), reason=reason)
    since = log.promotion_of(entry).created_at
    notice = _notify(log, entry, released, serving_since=since)
    return _print_change(entry, [tables.champion(log, entry)], notice, as_json=as_json)


def promote(
    name: Name,
    *,
    version: Version,
    reason: Reason,
    unjudged_champion: Annotated[  # noqa: ARG001 required, so that it is typed on purpose
        bool, Option("--unjudged-champion", help="confirms that it is not compared")
    ],
    store: StoreUri = None,
    as_json: AsJson = False,
) -> int:
    """Promote unjudged, where the champion cannot be scored."""
    from include.retraining.config.model import load_model
    from include.retraining.steps.decide import promote_unjudged

    log = open_log(store, name)
    entry = promote_unjudged(
        log.store,
        name,
        version,
        actor=user(),
        reason=reason,
        trusted=load_model(name).training.trusted,
    )
    lines = [tables.champion(log, entry), _no_event(name)]
    return print_answer(entry, lambda: lines, as_json=as_json)


def _is_this_rollback(entry: PromotionEntry, actor: str, reason: str, to: str | None) -> bool:
    from include.retraining.registry.entry import PromotionKind

    asked = (PromotionKind.ROLLBACK, actor, reason)
    return (entry.kind, entry.actor, entry.reason) == asked and to in {None, entry.version}


def _repeat_rollback(
    log: PromotionLog, entry: PromotionEntry, *, is_dry_run: bool, as_json: bool
) -> int:
    """Answer a rollback that was typed again after a lost connection: one step, one message."""
    from include.retraining.rollback.messages import rolled_back
    from include.retraining.rollback.plan import plan_behind

    lines = ["This was done already.", tables.champion(log, entry)]
    if is_dry_run:
        return print_answer(entry, lambda: lines, as_json=as_json)
    notice = _notify(log, entry, rolled_back, plan=plan_behind(log, entry), tried="")
    return _print_change(entry, lines, notice, as_json=as_json)


def _print_change(entry: PromotionEntry, lines: list[str], notice: str, *, as_json: bool) -> int:
    """Print an entry that was made, and who hears of it."""
    value = {**entry.model_dump(mode="json"), "notice": notice}
    return print_answer(value, lambda: [*lines, notice], as_json=as_json)


def _no_event(model: str) -> str:
    """Return which consumers are not notified of a change that a command made."""
    return (
        "No asset event was emitted: a command cannot. DAGs that wait for the asset "
        f"`{model}_champion` are notified at the next promotion; until then trigger them yourself, "
        "or notify their owners."
    )


def _notify(
    log: PromotionLog, entry: PromotionEntry, notice_of: Callable[..., Notice], **facts: Any
) -> str:
    """Put the notice about an entry into the outbox, and return whether that could be done."""
    from include.retraining.config.model import load_model
    from include.retraining.notifications.notice import Links
    from include.retraining.notifications.outbox import post
    from include.retraining.store.layout import promotion_key

    record = f"{log.store.uri}/{promotion_key(entry.model, entry.generation)}"
    try:
        config = load_model(entry.model)
        post(log.store, notice_of(entry, config, Links(record=record), **facts))
    except RetrainingError as error:  # what was asked for is done
        return f"No notice was sent: {error}."
    return "The next pass of `watch_models` sends the notice to Slack."
