"""What a change does to the models, in Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from include.retraining.cli.config_diff import Change, ModelDiff
from include.retraining.exceptions import RetrainingError
from include.retraining.formatting.markdown import NOTHING, code, escaped, table
from include.retraining.formatting.text import in_words, truncate
from include.retraining.maintenance.replay import Replayed, replay
from include.retraining.store.marker import open_store
from include.retraining.store.redaction import redact

MARK = "<!-- retraining config-diff -->"
"""The first line, by which the comment is found again."""
MAX_REPORT_LENGTH = 60_000
"""Characters; a comment on GitHub has at most 65,536."""
_VALUE_LENGTH = 300


@dataclass(frozen=True)
class ModelReport:
    """What becomes of one model, and of its last decisions."""

    diff: ModelDiff
    replayed: tuple[Replayed, ...] | None = None
    """Its last decisions under the new gates, newest first; None where they were not judged."""
    not_replayed: str | None = None
    """Why they were not, where the gates differ."""


def judge_again(diff: ModelDiff, store_uri: str | None, *, limit: int) -> ModelReport:
    """Judge a model's last decisions by its new gates, if they differ.

    Args:
        diff: what becomes of the model.
        store_uri: of the store with the decisions; None where none is known.
        limit: how many decisions to look back.
    """
    if diff.gates is None:
        return ModelReport(diff)
    if store_uri is None:
        return ModelReport(diff, not_replayed="no store is known here (RETRAINING_STORE)")
    try:
        replayed = replay(open_store(store_uri), diff.name, diff.gates, limit=limit)
    except RetrainingError as error:  # what changes is worth reading without this
        return ModelReport(diff, not_replayed=redact(str(error)))
    return ModelReport(diff, tuple(replayed))


def markdown(reports: Sequence[ModelReport]) -> str:
    """Return the comment, without a last line break."""
    lines = [MARK, "### What this changes in the models", ""]
    if not reports:
        lines.append("No model's effective configuration changes.")
    for report in reports:
        lines += _model(report)
    text = "\n".join(lines).rstrip()
    if len(text) <= MAX_REPORT_LENGTH:
        return text
    whole_lines = text[:MAX_REPORT_LENGTH].rpartition("\n")[0]
    return f"{whole_lines}\n\nCut here: `config-diff` itself shows everything."


def _model(report: ModelReport) -> Iterator[str]:
    diff = report.diff
    yield f"**{escaped(diff.name)}**: {diff.state}"
    yield ""
    if diff.state == "deleted":
        yield "Its DAG goes. What it left in the store stays, and the champion is unchanged."
        yield ""
    for problem in (diff.problem or "").splitlines():
        yield f"- {escaped(problem)}"
    if diff.problem is not None:
        yield ""
    if diff.note is not None:
        yield escaped(diff.note)
        yield ""
    if diff.changes:
        yield table(("", "field", "before", "after"), [_row(change) for change in diff.changes])
        yield ""
    if any(change.part == "training" for change in diff.changes):
        yield "This can change the trained model: the next run trains again."
        yield ""
    if report.not_replayed is not None:
        yield f"The last decisions were not judged by the new gates: {escaped(report.not_replayed)}"
        yield ""
    elif report.replayed is not None:
        yield from _replayed(report.replayed)


def _row(change: Change) -> tuple[str, str, str, str]:
    return (change.part, code(change.field), _value(change.before), _value(change.after))


def _value(value: str | None) -> str:
    return NOTHING if value is None else code(truncate(value, _VALUE_LENGTH))


def _replayed(replayed: Sequence[Replayed]) -> Iterator[str]:
    flips = [item for item in replayed if item.flips]
    if not replayed:
        yield "There is no decision yet that the new gates could judge."
    else:
        yield f"Under the new gates {len(flips)} of the last {len(replayed)} decisions would flip."
    yield ""
    if flips:
        columns = ("due", "run", "before", "after", "why")
        yield table(columns, [_flip(item) for item in flips])
        yield ""


def _flip(item: Replayed) -> tuple[str, ...]:
    answers = (item.before.value, item.after.value)
    words = (escaped(in_words(answer)) for answer in answers)
    return (
        item.run_after.isoformat(timespec="minutes"),
        code(item.run),
        *words,
        escaped(item.headline),
    )
