"""How answers look on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from include.retraining.formatting.numbers import metric_name, metric_value, number
from include.retraining.formatting.text import truncate
from include.retraining.formatting.times import utc_minute
from include.retraining.store.redaction import redact

if TYPE_CHECKING:
    from include.retraining.decisions.record import DecisionRecord
    from include.retraining.gate.verdict import GateResult
    from include.retraining.history.audit import AuditRow
    from include.retraining.history.overview import Unreadable
    from include.retraining.history.verify import LogCheck
    from include.retraining.maintenance.gc import Garbage
    from include.retraining.maintenance.replay import Replayed
    from include.retraining.notifications.silences import Silence
    from include.retraining.registry.entry import PromotionEntry
    from include.retraining.registry.promotion_log import PromotionLog
    from include.retraining.runs.manifest import RunManifest
    from include.retraining.trial.model_trial import Trial

_COLOURS = {"pass": "green", "fail": "red", "cannot_judge": "yellow", "not_judged": "dim"}


def champion(log: PromotionLog, newest: PromotionEntry | None) -> str:
    """Return one line on the champion by the newest entry of its log, and since when."""
    if newest is None:
        return f"{log.model}: nothing serves yet"
    return champion_line(newest, log.promotion_of(newest))


def champion_line(entry: PromotionEntry, promotion: PromotionEntry) -> str:
    """Describe the champion in one line.

    Args:
        entry: the newest.
        promotion: the one by which its version came to serve.
    """
    score = ""
    if entry.metric is not None and entry.value is not None:
        score = f", {metric_name(entry.metric)} {_score(entry)}"
    line = (
        f"{entry.model}: version {entry.version} (generation {entry.generation}{score}) serves "
        f"since {_time(promotion.created_at)}, by {promotion.kind.value} of {promotion.actor}: "
        f"{promotion.reason}"
    )
    if entry.generation != promotion.generation:
        line += f"; {entry.actor} released it at {_time(entry.created_at)}: {entry.reason}"
    return f"{line}; no run promotes until it is released" if entry.is_held else line


def entries(history: Sequence[PromotionEntry]) -> Any:
    """Return the promotion log as a table."""
    return _table(
        ("generation", "since", "kind", "version", "metric", "value", "data", "actor", "reason"),
        [
            (
                str(entry.generation),
                _time(entry.created_at),
                entry.kind.value,
                entry.version,
                metric_name(entry.metric or ""),
                _score(entry),
                entry.data_date,
                entry.actor,
                truncate(entry.reason, 120),
            )
            for entry in history
        ],
    )


def silences(lasting: Sequence[Silence]) -> Any:
    """Return the silences that last as a table, or that there are none."""
    if not lasting:
        return "no message is silenced"
    return _table(
        ("model", "kind", "until", "by", "since", "reason"),
        [
            (
                one.model,
                one.kind.value,
                "" if one.until is None else _time(one.until),
                one.actor,
                _time(one.created_at),
                truncate(one.reason, 120),
            )
            for one in lasting
        ],
    )


def decisions(records: Sequence[DecisionRecord | Unreadable]) -> Any:
    """Return decision records as a table, a row each; one for each that cannot be read, too."""
    return _table(
        ("due", "outcome", "version", "serving", "run", "reason"),
        [_decision(record) for record in records],
    )


def _decision(record: DecisionRecord | Unreadable) -> tuple[str, ...]:
    from include.retraining.history.overview import Unreadable

    if isinstance(record, Unreadable):
        return ("", "unreadable", "", "", record.key, truncate(record.why, 160))
    return (
        _time(record.run_after),
        record.outcome.value,
        record.version or "",
        record.serving.version if record.serving else "",
        record.run_id,
        truncate(record.reason, 160),
    )


def run(state: DecisionRecord | RunManifest | None) -> Iterable[Any]:
    """Yield what is known of a run: what it decided and by which gates, or what it planned."""
    from include.retraining.decisions.record import DecisionRecord

    if state is None:
        yield "the run left no plan and no decision"
        return
    params = state.params.model_dump(mode="json", exclude_none=True) if state.params else {}
    facts = {
        "model": state.model,
        "run": state.run_id,
        "due": _time(state.run_after),
        "started by": state.cause.user or state.cause.run_type,
        "params": ", ".join(f"{name}={value}" for name, value in params.items()),
        "data": ", ".join(file.name for file in state.delivery.files) if state.delivery else "",
        "commit": (state.code.git_sha or "unknown") if state.code else "",
        "fingerprint": state.fingerprint or "",
        "version": state.version or "",
    }
    if isinstance(state, DecisionRecord):
        facts["outcome"] = f"{state.outcome.value}: {state.reason}"
        facts["serving"] = state.serving.version if state.serving else "nothing"
    else:
        facts["outcome"] = "none yet"
    yield _table(("", ""), list(facts.items()), has_header=False)
    if isinstance(state, DecisionRecord) and state.verdict is not None:
        yield gates(state.verdict.gates, _decision_metric(state))


def gates(results: Sequence[GateResult], decision_metric: str) -> Any:
    """Return each gate's answer, value and limit as a table."""
    from include.retraining.gate.shown_numbers import shown_numbers

    return _table(
        ("gate", "answer", "value", "limit", "reason"),
        [
            (
                gate.gate,
                f"[{_COLOURS[gate.answer]}]{gate.answer.replace('_', ' ')}",
                *(_number(value) for value in shown_numbers(gate, decision_metric)),
                gate.reason,
            )
            for gate in results
        ],
        has_markup=(1,),
    )


def trial(tried: Trial, store_uri: str, earlier: str | None) -> Iterable[Any]:
    """Yield each gate's answer to a model that was tried, the verdict, and where its card is.

    Args:
        tried: the trial.
        store_uri: of its store.
        earlier: the delivery whose model was made the champion there, if there is one.
    """
    verdict = tried.verdict
    yield gates(verdict.gates, _decision_metric(tried.record))
    answer = verdict.answer.value.replace("_", " ").upper()
    yield f"{tried.manifest.model}: {answer}: {verdict.headline}"
    yield f"card: {tried.card}"
    yield f"store: {store_uri}"
    champion = "" if earlier is None else f" The champion of this store is the model of {earlier}."
    yield f"Nothing was promoted.{champion}"


def _decision_metric(record: DecisionRecord) -> str:
    """Return the metric that a decision is by; empty where nothing was evaluated."""
    return record.report.metric if record.report else ""


def check(result: LogCheck) -> Iterable[str]:
    """Yield what a check of the promotion log found."""
    yield from result.problems
    state = _count(len(result.problems), "problem") if result.problems else "sound"
    records = "records not readable with these rights"
    if result.records is not None:
        records = _count(result.records, "record")
    entries = _count(result.entries, "entry", "entries")
    yield f"{result.model}: {entries}, {_count(result.versions, 'version')}, {records}: {state}"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def replayed(judged_again: Sequence[Replayed]) -> Iterable[Any]:
    """Yield each run's old and new answer, and how many would flip."""
    yield _table(
        ("due", "before", "after", "flips", "headline"),
        [
            (
                _time(item.run_after),
                item.before.value,
                item.after.value,
                "yes" if item.flips else "",
                item.headline,
            )
            for item in judged_again
        ],
    )
    flips = sum(item.flips for item in judged_again)
    yield f"{flips} of {len(judged_again)} decisions would flip"


def audit(audit_rows: Sequence[AuditRow]) -> str:
    """Return the rows of an audit as CSV."""
    from include.retraining.cli.safe_csv import csv_text
    from include.retraining.history.audit import AuditRow

    rows = [row.model_dump(mode="json") for row in audit_rows]
    for row in rows:
        files = row["files"]
        row["files"] = "; ".join(f"{file['name']} sha256:{file['sha256']}" for file in files)
    return csv_text(list(AuditRow.model_fields), rows)


def garbage(items: Sequence[Garbage], *, is_removed: bool) -> Iterable[Any]:
    """Yield what may go, or went."""
    if items:
        yield _table(
            ("object", "bytes", "why"),
            [(item.key, f"{item.size:,}", item.why) for item in items],
        )
    verb = "were removed" if is_removed else "may go; --delete removes them"
    total = sum(item.size for item in items)
    yield f"{len(items)} objects ({total / 1e6:,.1f} MB) {verb}"


def _table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    has_header: bool = True,
    has_markup: Sequence[int] = (),
) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_header=has_header, box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        cells = (redact(cell) for cell in row)
        table.add_row(
            *(cell if at in has_markup else escape(cell) for at, cell in enumerate(cells))
        )
    return table


def _score(entry: PromotionEntry) -> str:
    """Return the decision metric of an entry as it is shown."""
    if entry.metric is None or entry.value is None:
        return ""
    return number(metric_value(entry.metric, entry.value))


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def _time(moment: datetime) -> str:
    return utc_minute(moment)
