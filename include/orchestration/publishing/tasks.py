"""The task of `publish_champions`: every target gets the newest entry of its model's log."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk import Asset, Context, get_current_context

from include.orchestration.operators.champion_asset import champion_asset
from include.orchestration.parsing.invalid_config import dag_id_of
from include.orchestration.publishing.targets import Targets
from include.orchestration.runtime.bundle import assert_own_bundle
from include.orchestration.runtime.errors import fail_permanent_errors
from include.orchestration.runtime.store import open_store
from include.orchestration.runtime.urls import dag_url, repository_url
from include.orchestration.watch.one_by_one import deliver_in_turn
from include.orchestration.watch.side_by_side import going_on, in_turn
from include.retraining.config.model import MODELS_FOLDER, load_model, model_names
from include.retraining.exceptions import ConfigError, RetrainingError

if TYPE_CHECKING:
    from include.retraining.notifications.notice import Notice
    from include.retraining.publishing.state import ModelState
    from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)
_PUBLISHES = re.compile(r"^(?P<quote>['\"]?)publish(?P=quote)\s*:", re.MULTILINE)


def published_models() -> list[str]:
    """Return the names of the models whose YAML has `publish:`.

    Its text is searched: a DAG file that loaded every model at each parse would cost seconds.
    """
    texts = {name: (MODELS_FOLDER / f"{name}.yaml").read_bytes() for name in model_names()}
    return [
        name for name, text in texts.items() if _PUBLISHES.search(text.decode(errors="replace"))
    ]


def publish_champions() -> list[str]:
    """Publish what is new, compare what is published; return what is not as it should be.

    A run that champions' assets started is about those models; one by the clock about all.

    Raises:
        RetrainingError: at the end, for each model that could not be followed. A target that does
            not answer is no such thing: it is tried again, and someone is notified.
    """
    context = get_current_context()
    with fail_permanent_errors():
        assert_own_bundle(context)
        return publish_models(open_store(), context, _asked_for(context))


def _asked_for(context: Context) -> list[str]:
    """Return the models whose champions' assets started the run; all when none did."""
    names = published_models()
    events = context.get("triggering_asset_events") or {}
    updated = {asset.name for asset in events if isinstance(asset, Asset)}
    return [name for name in names if champion_asset(name).name in updated] or names


def publish_models(store: Store, context: Context, names: Sequence[str]) -> list[str]:
    """Publish some models as `publish_champions` does, and end the alarms of those withdrawn."""
    from include.retraining.publishing.state import read_all, write_all

    known, published, targets = read_all(store), published_models(), Targets(store)
    withdrawn = [name for name in known if name not in published and known[name].has_alarms]
    follow = _follower(store, context, known, targets, set(published))
    problems: list[str] = []
    try:
        asked = [*names, *withdrawn]
        followed = dict(going_on(in_turn(store, "publish_champions", asked, follow), problems))
    finally:
        targets.close()
    found = {name: state for name, state in followed.items() if state is not None}
    states = {**{name: known[name] for name in [*published, *withdrawn] if name in known}, **found}
    kept = {name: one for name, one in states.items() if name not in withdrawn or one.has_alarms}
    write_all(store, known, kept)
    if problems:
        raise RetrainingError("; ".join(problems))
    return [line for name in names if name in found for line in _shown(name, found[name])]


def _follower(
    store: Store,
    context: Context,
    known: Mapping[str, ModelState],
    targets: Targets,
    published: Collection[str],
) -> Callable[[str], ModelState | None]:
    """Return what follows a model by its name, and gives its state; None where nothing is known."""
    from include.retraining.notifications.notice import Links
    from include.retraining.publishing.alarms import end_alarms, raise_alarms
    from include.retraining.publishing.follow import follow_log

    now, repository = datetime.now(UTC), repository_url(context)

    def notify(notice: Notice) -> None:
        deliver_in_turn(store, notice)

    def follow(name: str) -> ModelState | None:
        links = Links(run=dag_url(dag_id_of(name)), repository=repository)
        before = known.get(name)
        try:
            config = load_model(name) if name in published else None
        except ConfigError:
            log.warning("%s: its YAML is wrong, which the watch notifies", name)
            return None
        if config is None or config.publish is None:
            return (
                None if before is None else end_alarms(store, before, notify, now=now, links=links)
            )
        of_model = targets.of(name, config.publish)
        state = follow_log(store, config, of_model, before, now=now)
        return raise_alarms(store, config, state, notify, now=now, links=links)

    return follow


def _shown(name: str, state: ModelState) -> list[str]:
    return [
        f"{name}: {kind}: {text}"
        for kind, target in state.targets.items()
        if (text := target.problem or target.differs) is not None
    ]
