"""The page of all models: a row each, those that need attention first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from markupsafe import Markup

from include.orchestration.runtime.run_reference import DAG_PREFIX
from include.pages import store_access
from include.pages.airflow_state import DagSummary, read_dags
from include.pages.attention import Need, Urgency, needs, urgency
from include.pages.champion_use import ChampionUse, champion_use
from include.pages.charts import sparkline
from include.retraining.config.deadline import TimeOfDay, parse_deadline
from include.retraining.config.model import ModelConfig
from include.retraining.decisions.record import DecisionRecord
from include.retraining.exceptions import EvidenceError
from include.retraining.formatting.numbers import better_words, metric_name, metric_value, number
from include.retraining.formatting.text import default_title
from include.retraining.history.overview import (
    ModelSummary,
    read_all,
    sentence_of,
    summarize_models,
)
from include.retraining.history.savings import Saved
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.outbox import waiting
from include.retraining.publishing import state as publishing_state
from include.retraining.registry.entry import PromotionEntry
from include.retraining.store.object_store import Store
from include.retraining.watch.heartbeat import Heartbeat, last_heartbeat

SPARK_ENTRIES = 12
"""How many promotions the small line shows."""
SAVED_DAYS = 30
TALLY_PATIENCE_SECONDS = 0.15
WATCH_SILENT = timedelta(minutes=15)
"""Three intervals of `watch_models`; the external watchdog alarms after four."""


@dataclass(frozen=True)
class Row:
    """One model."""

    seen: ModelSummary
    dag: DagSummary
    title: str
    owner: str
    needs: list[Need]
    metric: str
    """The decision metric's name and the champion's value; empty when that is not known."""
    better: str
    """Which way that metric is better."""
    spark: Markup
    data_age_days: int | None
    is_too_old: bool
    decide_by: datetime | None
    """By when the next run must have decided."""
    use: ChampionUse

    @property
    def urgency(self) -> Urgency:
        """How urgently it needs attention."""
        return urgency(self.needs)


@dataclass(frozen=True)
class ModelsPage:
    """All of the page."""

    rows: list[Row]
    saved: Saved
    unplaced: list[Notice]
    """Messages about no model that are not delivered."""
    watch: Heartbeat | None
    watch_problem: str | None
    """What is wrong with the watch itself."""
    now: datetime


def models_page(store: Store, names: Sequence[str], now: datetime) -> ModelsPage:
    """Gather the page.

    Args:
        store: best a `CachingStore`.
        names: the models that the reader may see.
        now: the time.

    Raises:
        StorageError: when the store refuses to list, or does not answer.
    """
    dags = read_dags([DAG_PREFIX + name for name in names])
    notices = list(waiting(store))
    unsent = Counter(notice.model for notice in notices)
    seen = summarize_models(store, names, entries=SPARK_ENTRIES, cache=store_access.OVERVIEW_CACHE)
    published = publishing_state.read_all(store)

    def row_of(one: ModelSummary) -> Row:
        use = champion_use(store, one, published.get(one.model))
        return row(one, dags[DAG_PREFIX + one.model], unsent[one.model], now, use)

    rows = read_all(row_of, seen)
    rows.sort(key=lambda one: (one.urgency, one.seen.model))
    saved = store_access.TALLY.count(
        store, names, now - timedelta(days=SAVED_DAYS), patience_seconds=TALLY_PATIENCE_SECONDS
    )
    mark, problem = _watch(store, now)
    return ModelsPage(
        rows=rows,
        saved=saved,
        unplaced=[notice for notice in notices if not notice.model],
        watch=mark,
        watch_problem=problem,
        now=now,
    )


def row(seen: ModelSummary, dag: DagSummary, unsent: int, now: datetime, use: ChampionUse) -> Row:
    """Return one model's row."""
    config = store_access.config_of(seen.model)
    champion = seen.champion
    age = None if champion is None else data_age_days(champion, now)
    limit = None if config is None else config.max_champion_age_days
    return Row(
        seen=seen,
        dag=dag,
        title=title_of(seen.model, config, seen.newest),
        owner=(config and config.owner) or (seen.newest and seen.newest.owner) or "",
        needs=needs(seen, dag, unsent),
        metric=metric_words(champion),
        better=better_words(champion.metric) if champion and champion.metric else "",
        spark=_spark(seen.entries),
        data_age_days=age,
        is_too_old=age is not None and limit is not None and age > limit,
        decide_by=decide_by(config, dag),
        use=use,
    )


def title_of(model: str, config: ModelConfig | None, record: DecisionRecord | None) -> str:
    """Return what a model is called: by its YAML now, else by a decision of then."""
    title = (config and config.title) or (record and record.title)
    return title or default_title(model)


def metric_words(entry: PromotionEntry | None) -> str:
    """Return the champion's decision metric and its value."""
    if entry is None or entry.metric is None or entry.value is None:
        return ""
    return f"{metric_name(entry.metric)} {number(metric_value(entry.metric, entry.value))}"


def data_age_days(entry: PromotionEntry, now: datetime) -> int:
    """Return how many days old the champion's data is."""
    of = date.fromisoformat(entry.data_date)
    return (now - datetime(of.year, of.month, of.day, tzinfo=UTC)).days


def decide_by(config: ModelConfig | None, dag: DagSummary) -> datetime | None:
    """Return by when the next run must have decided; None without a deadline or a next run."""
    if config is None or config.deadline is None or dag.next_run is None:
        return None
    deadline = parse_deadline(config.deadline)
    if isinstance(deadline, TimeOfDay):
        return deadline.after(dag.next_run)
    return dag.next_run + deadline.interval


def _spark(entries: Sequence[PromotionEntry]) -> Markup:
    """Draw the decision metric of each version as it came to serve, by one metric."""
    metric = next((entry.metric for entry in entries if entry.metric), None)
    values = [
        metric_value(metric, entry.value)
        if metric and entry.metric == metric and entry.value is not None
        else None
        for entry in reversed(entries)
    ]
    words = ", ".join(number(value) for value in values if value is not None)
    return sparkline(
        values, f"{metric_name(metric or '')} of each promotion, oldest first: {words}"
    )


def _watch(store: Store, now: datetime) -> tuple[Heartbeat | None, str | None]:
    try:
        mark = last_heartbeat(store)
    except EvidenceError as error:
        return None, sentence_of(error)
    if mark is None:
        return None, "watch_models has not run yet"
    if now - mark.at > WATCH_SILENT:
        return mark, "watch_models has not run for more than 15 minutes"
    if mark.failed:
        return mark, f"the last run of watch_models failed in {', '.join(mark.failed)}"
    return mark, None
