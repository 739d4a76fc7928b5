"""What became of a champion: the scores that it made, and the systems that it is published to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.pages import store_access
from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import RetrainingError
from include.retraining.formatting.times import utc_minute
from include.retraining.history.overview import ModelSummary, sentence_of
from include.retraining.publishing.state import ModelState, TargetState
from include.retraining.registry.entry import PromotionEntry
from include.retraining.scoring.state import ScoringState, scoring_state
from include.retraining.store.object_store import Store

TARGETS = {"mlflow": "MLflow", "pointer": "pointer", "webhook": "webhook"}
"""What each kind of target is called."""


@dataclass(frozen=True)
class Target:
    """A system that a model is published to."""

    name: str
    place: str
    words: str
    """What it has, and what differs from the promotion log."""
    summary: str
    """The same in a word or two."""
    is_wrong: bool
    """Whether it has something else than the log says, or does not take it."""


@dataclass(frozen=True)
class ChampionUse:
    """How a model's champion is used."""

    scoring: ScoringState | None
    """None for a model that never scored."""
    is_behind: bool
    """Whether the last scores are of another version than the champion."""
    targets: Sequence[Target]
    problem: str | None
    """Why it is not known what was scored."""


def champion_use(store: Store, seen: ModelSummary, published: ModelState | None) -> ChampionUse:
    """Return how a model's champion is used.

    Args:
        store: best a `CachingStore`.
        seen: what is known of the model.
        published: what is known of its targets.
    """
    config, champion = store_access.config_of(seen.model), seen.champion
    scored, problem = None, None
    if config is None or config.scoring is not None:
        try:
            scored = scoring_state(store, seen.model)
        except RetrainingError as error:
            problem = sentence_of(error)
    newest = scored.newest if scored else None
    versions = {newest and newest.version, champion and champion.version}
    return ChampionUse(
        scoring=scored,
        is_behind=None not in versions and len(versions) > 1,
        targets=_targets(champion, config, published),
        problem=problem,
    )


def _targets(
    champion: PromotionEntry | None, config: ModelConfig | None, published: ModelState | None
) -> list[Target]:
    """Return the targets that the YAML names now, or those that are known, without one."""
    known: Mapping[str, TargetState] = published.targets if published else {}
    if config is not None:
        places = config.publish.places(config.name) if config.publish else {}
        state = (published or ModelState(model=config.name)).with_places(places)
        known = state.targets
    return [_target(name, state, champion) for name, state in known.items()]


def _target(name: str, state: TargetState, champion: PromotionEntry | None) -> Target:
    words = [_has(state, champion)]
    if state.differs is not None:
        since = f" since {utc_minute(state.differs_since)}" if state.differs_since else ""
        back = ", and was set back" if state.is_set_back else ""
        words.append(f"someone else changed it: {state.differs}{since}{back}")
    if state.problem is not None:
        since = f" since {utc_minute(state.failing_since)}" if state.failing_since else ""
        words.append(f"it fails{since}: {state.problem}")
    is_wrong = state.problem is not None or (state.differs is not None and not state.is_set_back)
    return Target(
        name=TARGETS.get(name, name),
        place=state.place,
        words="; ".join(words),
        summary=_summary(state, champion),
        is_wrong=is_wrong,
    )


def _summary(state: TargetState, champion: PromotionEntry | None) -> str:
    if state.problem is not None:
        return "fails"
    if state.differs is not None and not state.is_set_back:
        return "differs"
    is_current = champion is None or state.generation >= champion.generation
    return "has the champion" if is_current else "on its way"


def _has(state: TargetState, champion: PromotionEntry | None) -> str:
    generation = champion.generation if champion else 0
    if not state.generation:
        return "has nothing yet"
    has = f"has generation {state.generation}"
    if state.since is not None:
        has += f" since {utc_minute(state.since)}"
    waits = "" if state.generation >= generation else f", {generation} is on its way"
    return f"{has}{waits}" if state.is_complete else f"{has}{waits}, its card follows"
