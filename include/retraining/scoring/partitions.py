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
from include.retraining.config.scoring import Scoring, refuse_own_folder
from include.retraining.data.delivery import inspect_delivery, pin_delivery
from include.retraining.data.delivery_place import address, dated
from include.retraining.documents import Document
from include.retraining.exceptions import ConfigError, DeliveryError
from include.retraining.fingerprint.pinned import Delivery, Flag
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.scoring.refusals import RefusedPartition, is_known
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


@dataclass(frozen=True)
class Due:
    """What a run has to do."""

    partitions: tuple[PlannedPartition, ...]
    """Those to score, the newest first."""
    refused: tuple[RefusedPartition, ...] = ()
    """Those whose input cannot be accepted, unless that was refused before."""


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
) -> Due:
    """Return the partitions that are to be scored by the champion, the newest first.

    An input that cannot be accepted is refused, once, and the others are planned.

    Args:
        store: where relative addresses start, and the promotion log lies.
        config: the model's.
        champion: the log's newest entry.
        demand: what was asked for.

    Raises:
        ConfigError: when the scores would lie among the store's own records.
        DeliveryError: when the input that was asked for cannot be accepted.
        StorageError: when the store refuses or does not answer.
    """
    scoring = scoring_of(config)
    _refuse_own_folder(store, config)
    rolled_back = _rolled_back(PromotionLog(store, config.name), champion, demand)
    planner = _Planner(store, config, champion, demand, rolled_back)
    planned: list[PlannedPartition] = []
    refused: list[RefusedPartition] = []
    for day in _days(scoring, demand, has_rollback=bool(rolled_back)):
        due = planner.partition(day)
        if isinstance(due, RefusedPartition):
            refused.append(due)
        elif due is not None:
            planned.append(due)
    return Due(tuple(planned), tuple(refused))


def _refuse_own_folder(store: Store, config: ModelConfig) -> None:
    """Refuse an output that is given as an address and lies among the store's own records."""
    output = scoring_of(config).output
    try:
        refuse_own_folder(output.removeprefix(f"{store.uri}/"))
    except ValueError as error:
        raise ConfigError(f"include/models/{config.name}.yaml: scoring.output: {error}") from None


@dataclass
class _Planner:
    """Looks at one partition after the other, the newest first."""

    store: Store
    config: ModelConfig
    champion: PromotionEntry
    demand: Demand
    rolled_back: frozenset[str]
    is_newest: bool = True
    """Whether no complete input was seen yet."""

    def partition(self, day: date) -> PlannedPartition | RefusedPartition | None:
        """Return a partition that is to be scored or refused, None when it stays as it is."""
        scoring, view = scoring_of(self.config), input_view(self.config)
        name = day.isoformat() if scoring.is_dated else ONLY
        try:
            state = inspect_delivery(self.store, view, day, consumed=None)
        except DeliveryError as error:
            return self._refused(day, name, error.flag, error)
        if not state.is_complete or state.flag is None:
            if self.is_newest:
                log.info("%s: %s", name, state.reason)
            return None
        why = self._why(day, state.flag)
        self.is_newest = False
        if why is None or self._is_known(_refusal(name, state.flag, self.champion, "")):
            return None
        # The same files under another flag too: the job names their scores anew, beside that flag.
        try:
            pinned = pin_delivery(self.store, view, day)
        except DeliveryError as error:
            return self._refused(day, name, state.flag, error)
        output = address(self.store, dated(scoring.output, day)).rstrip("/")
        return PlannedPartition(name=name, date=day, why=why, input=pinned, output=output)

    def _why(self, day: date, flag: Flag | None) -> str | None:
        """Return why a partition is to be scored; None when what it has stays."""
        scoring = scoring_of(self.config)
        age = (self.demand.today - day).days
        return _why(
            ScoresFolder.at(self.store, dated(scoring.output, day)).newest(),
            flag,
            self.champion,
            is_asked=self.is_newest or self.demand.only is not None,
            takes_up=age <= scoring.look_back_days,
            rolled_back=self.rolled_back if age < self.demand.rescore_days else frozenset(),
        )

    def _refused(
        self, day: date, name: str, flag: object, error: DeliveryError
    ) -> RefusedPartition | None:
        """Return an input that cannot be accepted, None when that is known or it is not needed."""
        if self.demand.only is not None:
            raise error
        flag = flag if isinstance(flag, Flag) else None
        refusal = _refusal(name, flag, self.champion, str(error))
        if self._why(day, flag) is None or self._is_known(refusal):
            return None
        log.warning("%s: its input cannot be accepted: %s", name, error)
        return refusal

    def _is_known(self, refusal: RefusedPartition) -> bool:
        """Return whether an input was refused already, and nobody asks for it again."""
        return self.demand.only is None and is_known(self.store, self.config.name, refusal)


def _refusal(name: str, flag: Flag | None, champion: PromotionEntry, why: str) -> RefusedPartition:
    # Without a flag that can be read, the sentence says what is not to be refused again.
    identity = why if flag is None else flag.identity
    return RefusedPartition(name=name, flag=identity, version=champion.version, why=why)


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
    flag: Flag | None,
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
    is_same = flag is not None and scores.input.flag.identity == flag.identity
    if not is_same and (is_asked or takes_up):
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
