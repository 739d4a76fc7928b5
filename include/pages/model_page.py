"""The page of one model: its champion, how that was promoted, and every decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from markupsafe import Markup

from include.orchestration.runtime.run_reference import DAG_PREFIX
from include.pages import store_access
from include.pages.airflow_state import read_dags
from include.pages.champion_use import champion_use
from include.pages.charts import Event, Line, Mark, chart, sparkline
from include.pages.kept_promises import KeptPromises, kept_promises
from include.pages.models_page import Row, row
from include.pages.moved_columns import ComparedInput, compared_inputs
from include.pages.step_usage import StepUse, step_uses
from include.pages.trend import Point, Series, fairness, judged, points, slices
from include.retraining.config.model import ModelConfig
from include.retraining.decisions.record import DecisionRecord
from include.retraining.exceptions import RetrainingError
from include.retraining.formatting.numbers import better_words, metric_name, number
from include.retraining.formatting.times import utc_minute
from include.retraining.history.overview import (
    Unreadable,
    read_all,
    recent_decisions,
    sentence_of,
    summarize_model,
)
from include.retraining.history.undone import undone_by
from include.retraining.notifications.notice import Notice
from include.retraining.notifications.outbox import waiting
from include.retraining.publishing.state import find_state
from include.retraining.registry.entry import PromotionEntry, PromotionKind
from include.retraining.registry.promotion_log import PromotionLog
from include.retraining.store.object_store import Store

DECISIONS = 50
"""How many decisions a page shows; the older ones are a click away."""
ENTRIES = 30
"""How many entries of the promotion log."""


@dataclass(frozen=True)
class ModelPage:
    """All of the page."""

    row: Row
    config: ModelConfig | None
    entries: Sequence[PromotionEntry]
    """The newest first; where the log is damaged, those that can be read."""
    log_problems: Sequence[str]
    more_entries: bool
    decisions: Sequence[DecisionRecord | Unreadable]
    undone: Mapping[tuple[str, int], PromotionEntry]
    """The rollback that took back what a decision promoted, by the run and its clear."""
    older: str | None
    """The run behind which the older decisions begin."""
    is_first: bool
    """Whether these are the newest decisions."""
    points: Sequence[Point]
    """Oldest first."""
    metric: str
    better: str
    """Which way the metric is better."""
    chart: Markup
    promises: KeptPromises
    slices: Sequence[tuple[Series, Markup]]
    fairness: Sequence[tuple[Series, Markup]]
    inputs: Sequence[ComparedInput]
    """How far the newest inputs lie from the champion's training rows."""
    uses: Sequence[StepUse]
    unsent: Sequence[Notice]
    carded: DecisionRecord | None
    """The newest run that may have a model card."""
    now: datetime


def model_page(
    store: Store, model: str, now: datetime, root: str, *, before: str | None = None
) -> ModelPage:
    """Gather the page.

    Args:
        store: best a `CachingStore`.
        model: its name.
        now: the time.
        root: the path below which our pages are.
        before: the run (a record's name) behind which to go on.

    Raises:
        StorageError: when the store refuses to list, or does not answer.
    """
    dag_id = DAG_PREFIX + model
    seen = summarize_model(store, model, entries=ENTRIES)
    unsent = [notice for notice in waiting(store) if notice.model == model]
    key = None if before is None else f"models/{model}/decisions/{before}.json"
    decisions, older = recent_decisions(store, model, limit=DECISIONS, before=key)
    records = [one for one in decisions if isinstance(one, DecisionRecord)]
    of_metric = judged(records)
    trend_points = points(of_metric)
    metric = of_metric[-1].report.metric if of_metric and of_metric[-1].report else ""
    entries, problems = _entries(store, model, seen.entries, seen.problems)
    use = champion_use(store, seen, find_state(store, model))
    return ModelPage(
        row=row(seen, read_dags([dag_id])[dag_id], len(unsent), now, use),
        config=store_access.config_of(model),
        entries=entries,
        log_problems=problems,
        more_entries=bool(entries) and entries[-1].generation > 1,
        decisions=decisions,
        undone=_undone(store, records),
        older=None if older is None else older.rpartition("/")[2].removesuffix(".json"),
        is_first=before is None,
        points=trend_points,
        metric=metric_name(metric),
        better=better_words(metric),
        chart=_chart(trend_points, metric, entries, root),
        promises=kept_promises(store, model, root),
        slices=_with_lines(slices(of_metric)),
        fairness=_with_lines(fairness(of_metric)),
        inputs=compared_inputs(store, model, seen.champion),
        uses=step_uses(records),
        unsent=unsent,
        carded=next((record for record in records if record.verdict is not None), None),
        now=now,
    )


def run_path(record: DecisionRecord, root: str) -> str:
    """Return the address of our page about a run."""
    return f"{root}/models/{record.model}/runs/{quote(record.run, safe='')}"


def _entries(
    store: Store, model: str, entries: Sequence[PromotionEntry], problems: Sequence[str]
) -> tuple[Sequence[PromotionEntry], Sequence[str]]:
    """Return the promotion log; where it is damaged, what can be read and all that is wrong."""
    if entries or not problems:
        return entries, ()
    try:
        readable, wrong = PromotionLog(store, model).examine()
    except RetrainingError as error:
        return (), (sentence_of(error),)
    return readable[::-1][:ENTRIES], wrong


def _undone(
    store: Store, records: Sequence[DecisionRecord]
) -> Mapping[tuple[str, int], PromotionEntry]:
    def find(record: DecisionRecord) -> PromotionEntry | None:
        try:
            return undone_by(store, record)
        except RetrainingError:  # the page says elsewhere that the log is damaged
            return None

    rollbacks = zip(records, read_all(find, records), strict=True)
    return {(record.run, record.clear): entry for record, entry in rollbacks if entry is not None}


def _chart(
    trend_points: Sequence[Point], metric: str, entries: Sequence[PromotionEntry], root: str
) -> Markup:
    def marks(field: str, *, has_interval: bool = False, limit: str = "") -> list[Mark]:
        return [
            Mark(
                place,
                value,
                f"{field} {number(value)}, run of {utc_minute(point.record.run_after)}: "
                f"{point.record.outcome.value.replace('_', ' ')}",
                lower=point.lower if has_interval else None,
                upper=point.upper if has_interval else None,
                link=run_path(point.record, root) if has_interval else None,
            )
            for place, point in enumerate(trend_points)
            if (value := getattr(point, field)) is not None and limit in {"", point.limit_name}
        ]

    lines = [
        Line("minimum", marks("limit", limit="minimum"), is_limit=True),
        Line("baseline", marks("limit", limit="baseline"), is_limit=True),
        Line("champion", marks("champion"), has_dots=False),
        Line("challenger", marks("challenger", has_interval=True)),
    ]
    title = (
        f"{metric_name(metric)} of challenger and champion, and the limit, by run, "
        f"{better_words(metric)}; the table has the numbers"
    )
    return chart(lines, _labels(trend_points), title, _rollbacks(trend_points, entries))


def _labels(trend_points: Sequence[Point]) -> list[str]:
    """Return what each run is called below the chart: its day, with its time where days repeat."""
    days = [f"{point.record.run_after:%d %b}" for point in trend_points]
    if len(set(days)) > len(days) / 2:
        return days
    return [f"{point.record.run_after:%d %b %H:%M}" for point in trend_points]


def _rollbacks(trend_points: Sequence[Point], entries: Sequence[PromotionEntry]) -> list[Event]:
    """Return the rollbacks since the first run of a chart, each after the run that it followed."""
    decided = [point.record.decided_at for point in trend_points]
    return [
        Event(
            "rollback",
            after=sum(at < entry.created_at for at in decided),
            title=f"rolled back by {entry.actor}, {utc_minute(entry.created_at)}: {entry.reason}",
        )
        for entry in entries
        if entry.kind is PromotionKind.ROLLBACK and decided and entry.created_at > decided[0]
    ]


def _with_lines(all_series: Sequence[Series]) -> list[tuple[Series, Markup]]:
    return [
        (
            series,
            sparkline(
                series.values,
                f"{series.name} over time, oldest first: "
                + ", ".join(number(value) for value in series.values if value is not None),
            ),
        )
        for series in all_series
    ]
