"""Which partitions of a model's input are to be scored now, and why.

A partition is a day's input, or the one input of a model whose input has no `{date}`. What is in
the store decides, never an event: each run looks at the newest partition, and at those of some days
back, and compares what they were scored by with the champion of the promotion log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from include.retraining.config.model import ModelConfig
from include.retraining.config.scoring import Scoring
from include.retraining.data.delivery import inspect_delivery, pin_delivery
from include.retraining.data.delivery_place import address, dated
from include.retraining.documents import Document
from include.retraining.exceptions import ConfigError, DeliveryError
from include.retraining.fingerprint.pinned import Delivery, Flag
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.scoring.scores import Scores, ScoresFolder
from include.retraining.store.object_store import Store

log = logging.getLogger(__name__)

ONLY = "all"
"""The name of the one partition of an input without `{date}`."""


class PlannedPartition(Document):
    """A partition to score, with its input as pinned."""

    name: str
    """ISO date of its day, or `all`."""
    date: date
    """Its day; that of the run for an input without `{date}`."""
    why: str
    """Why it is to be scored, in a sentence."""
    input: Delivery
    output: str
    """The address of its scores' folder."""


@dataclass(frozen=True)
class Demand:
    """What a run was asked to look at."""

    today: date
    only: date | None = None
    """The one partition to score; None for all that need it."""
    rescore_days: int = 0
    """As `Scoring.rescore_days`."""
    refused: frozenset[tuple[str, str, str]] = frozenset()
    """Partition, flag and version of what was refused: it is not tried again as it is."""


def scoring_of(config: ModelConfig) -> Scoring:
    """Return a model's section `scoring`.

    Raises:
        ConfigError: when it has none.
    """
    if config.scoring is None:
        raise ConfigError(
            f"include/models/{config.name}.yaml: scoring: is missing: this model scores nothing"
        )
    return config.scoring


def input_view(config: ModelConfig) -> ModelConfig:
    """Return a model's configuration with the input to score in the place of its deliveries."""
    scoring = scoring_of(config)
    data = {"location": scoring.input.location, "files": scoring.input.files}
    return config.model_copy(
        update={
            "trigger": config.trigger.model_copy(update={"flag": scoring.input.flag}),
            "data": config.data.model_copy(update=data),
        }
    )


def current_flag(store: Store, config: ModelConfig, day: date) -> Flag | None:
    """Return the flag of a day's input as it lies there now, None where there is none.

    Raises:
        StorageError: when the store refuses or does not answer.
    """
    try:
        return inspect_delivery(store, input_view(config), day, consumed=None).flag
    except DeliveryError as error:
        return error.flag if isinstance(error.flag, Flag) else None


def partitions_to_score(
    store: Store, config: ModelConfig, champion: PromotionEntry, demand: Demand
) -> list[PlannedPartition]:
    """Return the partitions that are to be scored by the champion, the newest first.

    Args:
        store: where relative addresses start, and the promotion log lies.
        config: the model's.
        champion: the log's newest entry.
        demand: what was asked for.

    Raises:
        DeliveryError: when the newest input, or the one that was asked for, cannot be accepted.
        StorageError: when the store refuses or does not answer.
    """
    scoring, view = scoring_of(config), input_view(config)
    rolled_back = _rolled_back(PromotionLog(store, config.name), champion, demand)
    planned: list[PlannedPartition] = []
    is_newest = True
    for day in _days(scoring, demand, has_rollback=bool(rolled_back)):
        name = day.isoformat() if scoring.is_dated else ONLY
        try:
            state = inspect_delivery(store, view, day, consumed=None)
        except DeliveryError as error:
            if is_newest or demand.only is not None:
                raise
            log.warning("%s: its input cannot be accepted: %s", name, error)
            continue
        if not state.is_complete or state.flag is None:
            if is_newest:
                log.info("%s: %s", name, state.reason)
            continue
        scores = ScoresFolder.at(store, dated(scoring.output, day)).newest()
        age = (demand.today - day).days
        why = _why(
            scores,
            state.flag,
            champion,
            is_asked=is_newest or demand.only is not None,
            takes_up=age <= scoring.look_back_days,
            rolled_back=rolled_back if age < demand.rescore_days else frozenset(),
        )
        is_newest = False
        is_refused = (name, state.flag.identity, champion.version) in demand.refused
        if why is None or (is_refused and demand.only is None):
            continue
        # The same files under another flag too: the job names their scores anew, beside that flag.
        pinned, output = pin_delivery(store, view, day), _output_address(store, scoring, day)
        partition = PlannedPartition(name=name, date=day, why=why, input=pinned, output=output)
        planned.append(partition)
    return planned


def _output_address(store: Store, scoring: Scoring, day: date) -> str:
    return address(store, dated(scoring.output, day)).rstrip("/")


def _days(scoring: Scoring, demand: Demand, *, has_rollback: bool) -> Iterator[date]:
    """Yield the days whose partitions are looked at, the newest first."""
    if demand.only is not None or not scoring.is_dated:
        yield demand.only or demand.today
        return
    back = max(scoring.look_back_days, demand.rescore_days - 1 if has_rollback else 0)
    for days in range(back + 1):
        yield demand.today - timedelta(days=days)


def _why(
    scores: Scores | None,
    flag: Flag,
    champion: PromotionEntry,
    *,
    is_asked: bool,
    takes_up: bool,
    rolled_back: frozenset[str],
) -> str | None:
    """Return why a partition is to be scored; None when what it has stays."""
    if scores is None:
        return "it has no scores yet" if is_asked or takes_up else None
    if scores.version != champion.version and scores.version in rolled_back:
        return f"version {scores.version}, which scored it, was rolled back"
    if scores.version != champion.version and is_asked:
        return f"version {champion.version} is the champion now; {scores.version} scored it"
    if scores.input.flag.identity != flag.identity and (is_asked or takes_up):
        return "its input was delivered again"
    return None


def _rolled_back(
    promotions: PromotionLog, champion: PromotionEntry, demand: Demand
) -> frozenset[str]:
    """Return the versions that a rollback took out of service, unless they serve again.

    None where nothing is scored again after a rollback: the whole log is read for them.
    """
    if demand.rescore_days == 0:
        return frozenset()
    versions: set[str] = set()
    is_rolled_back = False
    for entry in promotions.newest_first():
        if is_rolled_back:
            versions.add(entry.version)
        is_rolled_back = entry.kind is PromotionKind.ROLLBACK
    return frozenset(versions - {champion.version})
