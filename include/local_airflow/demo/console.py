"""What the demonstration prints: tasks, messages and decisions."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote

from rich.console import Console, Group
from rich.panel import Panel
from rich.style import Style
from rich.table import Table
from rich.text import Text

from include.local_airflow.demo.follow import FollowedRun
from include.retraining.decisions.record import DecisionRecord
from include.retraining.formatting.numbers import is_error, metric_name, metric_value, number
from include.retraining.formatting.text import in_words
from include.retraining.scoring.record import ScoreRecord
from include.retraining.store.layout import RunPaths

STATE_STYLES = {
    "success": "green",
    "failed": "red",
    "skipped": "dim",
    "upstream_failed": "red",
}
OUTCOME_STYLES = {"promoted": "green", "no_change": "blue", "too_soon": "blue", "dry_run": "blue"}
ANSWER_STYLES = {"pass": "green", "fail": "red", "cannot_judge": "red", "not_judged": "dim"}


def show_task(console: Console, run: FollowedRun, task: dict[str, Any]) -> None:
    """Print one line about a task that has ended."""
    seconds = _seconds(task)
    console.print(
        Text.assemble(
            f"  {run.dag_id:<28} {task['task_id']:<16} ",
            (f"{task['state']:<16}", STATE_STYLES.get(task["state"], "")),
            "" if seconds is None else f"{seconds:6.1f} s",
        )
    )


def _seconds(task: dict[str, Any]) -> float | None:
    if not task["start_date"] or not task["end_date"] or task["state"] == "skipped":
        return None
    start, end = (datetime.fromisoformat(task[name]) for name in ("start_date", "end_date"))
    return (end - start).total_seconds()


def show_message(console: Console, message: dict[str, Any]) -> None:
    """Print a message as it arrives at the Slack stand-in."""
    text = slack_text(str(message.get("text", "")))
    console.print(Panel(text, title="Slack", title_align="left", border_style="magenta"))


def slack_text(mrkdwn: str) -> Text:
    """Return Slack's mark-up as text for a terminal, with clickable links where it supports them.

    Links are `<address|words>`; the addresses themselves are not shown.
    """
    text = Text()
    end = 0
    for link in re.finditer(r"<([^|<>\s]+)\|([^<>]+)>", mrkdwn):
        text.append(html.unescape(mrkdwn[end : link.start()]))
        address = html.unescape(link[1])
        text.append(html.unescape(link[2]), Style(underline=True, link=address))
        end = link.end()
    return text.append(html.unescape(mrkdwn[end:]))


def show_decision(
    console: Console, record: DecisionRecord, airflow_url: str, address_of: Callable[[str], str]
) -> None:
    """Print one run's decision, and below it the pages about it, as addresses to click.

    Args:
        console: where to print.
        record: the decision record.
        airflow_url: the address of Airflow's UI.
        address_of: turns a key of the store into an address that can be opened.
    """
    style = OUTCOME_STYLES.get(record.outcome, "red")
    parts: list[Any] = [Text(record.reason), Text()]
    if record.report is not None:
        parts += [_scores(record), Text()]
    if record.verdict is not None:
        parts += [_gates(record), Text()]
    parts.append(_facts(record, address_of))
    title = Text.assemble((f"{record.model}: {record.outcome.replace('_', ' ')}", f"bold {style}"))
    console.print(Panel(Group(*parts), title=title, title_align="left", border_style=style))
    for name, address in addresses(record, airflow_url).items():
        show_address(console, name, address)


def show_address(console: Console, name: str, address: str) -> None:
    """Print an address on one line, however long it is: a broken one cannot be clicked."""
    console.print(Text.assemble(f"  {name:<6} ", (address, Style(link=address))), soft_wrap=True)


def addresses(record: DecisionRecord, airflow_url: str) -> dict[str, str]:
    """Return the pages about a decision, by what each shows."""
    base = airflow_url.rstrip("/")
    run = f"{base}/dags/{quote(record.dag_id)}/runs/{quote(record.run_id, safe='')}"
    own = f"{base}/retraining/models/{record.model}/runs/{quote(record.run, safe='')}"
    shown = {"model": model_address(record.model, airflow_url), "run": run}
    return shown | ({"card": f"{own}#card"} if record.verdict is not None else {})


def model_address(model: str, airflow_url: str) -> str:
    """Return our page about a model, within Airflow's UI."""
    return f"{airflow_url.rstrip('/')}/dags/retrain_{model}/plugin/model"


def show_scores(console: Console, record: ScoreRecord, address_of: Callable[[str], str]) -> None:
    """Print what a scoring run scored, and by which version.

    Args:
        console: where to print.
        record: the run's.
        address_of: turns an address of the store into one that can be opened.
    """
    style = "green" if record.outcome == "scored" else "red"
    table = Table("partition", "rows", "version", "generation", "scores", box=None, pad_edge=False)
    table.columns[-1].overflow = "fold"
    for one in record.partitions:
        facts = (one.name, f"{one.rows:,}", one.version, str(one.generation))
        table.add_row(*facts, Text(address_of(one.output)))
    shown = Group(Text(record.reason), Text(), table) if record.partitions else record.reason
    title = Text.assemble((f"{record.dag_id}: {record.outcome}", f"bold {style}"))
    console.print(Panel(shown, title=title, title_align="left", border_style=style))


def _scores(record: DecisionRecord) -> Table:
    report = record.report
    assert report is not None  # noqa: S101 the caller looked
    table = Table("metric", "challenger", "baseline", "champion", box=None, pad_edge=False)
    champion = report.champion.scores.metrics if report.champion and report.champion.scores else {}
    for metric, value in report.challenger.metrics.items():
        others = (report.baseline.metrics.get(metric), champion.get(metric))
        name = metric_name(metric) + (", lower is better" if is_error(metric) else "")
        table.add_row(name, *(_metric(metric, score) for score in (value, *others)))
    return table


def _metric(metric: str, value: float | None) -> str:
    return "–" if value is None else number(metric_value(metric, value))  # noqa: RUF001 a dash


def _gates(record: DecisionRecord) -> Table:
    assert record.verdict is not None  # noqa: S101 the caller looked
    table = Table("gate", "answer", "why", box=None, pad_edge=False)
    for gate in record.verdict.gates:
        answer = Text(in_words(gate.answer), ANSWER_STYLES.get(gate.answer, ""))
        table.add_row(gate.gate, answer, Text(gate.reason))
    return table


def _facts(record: DecisionRecord, address_of: Callable[[str], str]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    # A long address must stay whole, so that it can be clicked.
    table.add_column(overflow="fold")
    paths = RunPaths(record.model, record.run)
    serving = record.serving
    facts = [
        ("version", record.version),
        (
            "serving",
            f"{serving.version}, generation {serving.generation}" if serving else "nothing",
        ),
        ("record", address_of(paths.decision(record.clear))),
    ]
    for name, value in facts:
        if value:
            table.add_row(name, Text(value))
    return table
