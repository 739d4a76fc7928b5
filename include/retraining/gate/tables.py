"""An evaluation and its verdict as Markdown: for the model card, and for who must approve it."""

from __future__ import annotations

from collections.abc import Sequence

from include.retraining.data.split_record import SplitUsed
from include.retraining.formatting.markdown import NOTHING, code, escaped, table
from include.retraining.formatting.numbers import (
    better_words,
    metric_name,
    metric_value,
    number,
    signed,
)
from include.retraining.formatting.text import in_words
from include.retraining.gate.identity import OPPONENTS
from include.retraining.gate.report import EvaluationReport, Opponent, Scores
from include.retraining.gate.shown_numbers import shown_numbers
from include.retraining.gate.tries import level_words, ordinal
from include.retraining.gate.verdict import REFUSALS, Answer, Verdict


def plain(value: float | None, digits: int = 3) -> str:
    """Return a number, or the sign for none."""
    return NOTHING if value is None else number(value, digits)


def answer_words(answer: Answer) -> str:
    """Return a gate's answer in words."""
    return in_words(answer.value)


def gates_table(verdict: Verdict, decision_metric: str) -> str:
    """Return each gate's answer, value, limit and reason; a refusal is bold."""
    rows = []
    for gate in verdict.gates:
        answer = answer_words(gate.answer)
        answer = f"**{answer}**" if gate.answer in REFUSALS else answer
        numbers = (plain(value, 4) for value in shown_numbers(gate, decision_metric))
        rows.append([escaped(gate.gate), answer, *numbers, escaped(gate.reason)])
    return table(("Gate", "Answer", "Value", "Limit", "Reason"), rows)


def scores_table(report: EvaluationReport) -> str:
    """Return every metric of challenger, champion, best champion of late and naive baseline."""
    contenders = _contenders(report)
    scores = [one for _, one in contenders]
    rows = []
    for metric in report.challenger.metrics:
        name = metric_name(metric)
        values = [_value(metric, one.metrics.get(metric) if one else None) for one in scores]
        decides = f"**{name}** (decides, {better_words(metric)})"
        rows.append([decides if metric == report.metric else name, *values])
    rows.append(["latency, 1,000 rows", *(_latency(one) for one in scores)])
    rows.append(["size of the model", *(_size(one) for one in scores)])
    return table(("Metric", *(name for name, _ in contenders)), rows)


def opponent_lines(report: EvaluationReport) -> list[str]:
    """Return a sentence for each champion that the challenger was compared with."""
    lines = [
        _against(OPPONENTS[which], opponent, report.metric) for which, opponent in report.opponents
    ]
    if report.champion is None:
        lines.append("Nothing served when it was evaluated: there is no champion to compare with.")
    if report.tried is not None and report.champion is not None:
        tried = report.tried
        lines.append(
            f"It is the {ordinal(tried.number)} challenger on these rows since generation "
            f"{tried.generation}: each further one is held to a wider interval."
        )
    left_out = len(report.holdout.left_out_classes)
    if left_out:
        lines.append(
            f"{left_out:,} {'class has' if left_out == 1 else 'classes have'} no row in the "
            "holdout, and no part in anybody's scores."
        )
    return lines


def slices_table(report: EvaluationReport) -> str:
    """Return the decision metric on each subgroup; nothing when there are none."""
    if not report.slices:
        return ""
    rows = [
        [
            f"{escaped(item.column)} = {escaped(item.value)}",
            f"{item.rows:,}",
            _value(report.metric, item.challenger),
            _value(report.metric, item.champion),
            "yes" if item.is_judged else "no, too few rows",
        ]
        for item in report.slices
    ]
    columns = ("Slice", "Rows", "Challenger", "Champion", "Judged")
    name = metric_name(report.metric).capitalize()
    return f"{name} per slice, {better_words(report.metric)}.\n\n{table(columns, rows)}"


def split_words(split: SplitUsed) -> str:
    """Describe which rows are held out, and the end of the training data."""
    if split.by == "key":
        share = f"{split.holdout_fraction:.0%}" if split.holdout_fraction else "a part"
        return f"Rows are held out by a hash of their key ({share}), the same ones each time."
    until = f"{split.train_until:%Y-%m-%d %H:%M}" if split.train_until else "unknown"
    words = (
        f"The newest {plain(split.holdout_days)} days by {code(split.column)} are held out; "
        f"it was trained on rows up to {until} UTC."
    )
    earlier = (split.windows or 1) - 1
    if earlier < 1:
        return words
    periods = "period" if earlier == 1 else f"{earlier} periods"
    return f"{words} The recipe is judged on the {periods} of as many days before that, too."


def _contenders(report: EvaluationReport) -> Sequence[tuple[str, Scores | None]]:
    contenders: list[tuple[str, Scores | None]] = [("Challenger", report.challenger)]
    for which, opponent in report.opponents:
        name = OPPONENTS[which].capitalize()
        contenders.append((f"{name} `{opponent.serving.version}`", opponent.scores))
    return [*contenders, ("Naive baseline", report.baseline)]


def _value(metric: str, value: float | None) -> str:
    return NOTHING if value is None else number(metric_value(metric, value))


def _latency(scores: Scores | None) -> str:
    milliseconds = scores.latency_ms_per_1000_rows if scores else None
    return NOTHING if milliseconds is None else f"{number(milliseconds, 3)} ms"


def _size(scores: Scores | None) -> str:
    size_bytes = scores.model_bytes if scores else None
    return NOTHING if size_bytes is None else f"{number(size_bytes / 1e6, 3)} MB"


def _against(name: str, opponent: Opponent, metric: str) -> str:
    comparison = opponent.comparison
    if comparison is None:
        why = f": {escaped(opponent.error)}" if opponent.error else ""
        return f"Against the {name} it could not be compared{why}."
    return (
        f"Against the {name}, by {metric_name(metric)}, plus is better: "
        f"**{signed(comparison.difference)}**, {level_words(comparison.level)} between "
        f"{signed(comparison.lower)} and {signed(comparison.upper)} ({escaped(comparison.method)})."
    )
