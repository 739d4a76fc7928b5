"""The model card: what a version is for, what it was made from, and how it did."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow.parquet as pq
from skops.card import Card

from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import EvidenceError
from include.retraining.formatting.markdown import code, escaped, table
from include.retraining.formatting.numbers import metric_name, number
from include.retraining.gate.identity import OPPONENTS
from include.retraining.gate.margin import margin_against, why_never_met
from include.retraining.gate.report import EvaluationReport, Fairness
from include.retraining.gate.tables import (
    answer_words,
    gates_table,
    opponent_lines,
    plain,
    scores_table,
    slices_table,
    split_words,
)
from include.retraining.gate.verdict import Verdict
from include.retraining.model_card.plots import SLICES_FILE, Plot, draw_plots
from include.retraining.registry.versions import VersionManifest, read_version
from include.retraining.runs.manifest import RunManifest
from include.retraining.runs.results import read_result
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store


@dataclass(frozen=True)
class Content:
    """Everything a card is made from."""

    run: RunManifest
    config: ModelConfig
    version: VersionManifest
    report: EvaluationReport
    verdict: Verdict
    plots: Sequence[Plot]


def write_card(store: Store, paths: RunPaths, manifest: RunManifest, verdict: Verdict) -> str:
    """Write a run's model card and its plots.

    Args:
        store: where the run lies.
        paths: the run.
        manifest: its plan.
        verdict: the gate's answer.

    Returns:
        The key of the card, a Markdown file beside its pictures.

    Raises:
        EvidenceError: when the verdict is of another evaluation, or evidence is missing or altered.
    """
    trained = read_result(store, paths, manifest, "train")
    evaluated = read_result(store, paths, manifest, "evaluate")
    if verdict.report_digest != evaluated.report.sha256:
        raise EvidenceError(f"{paths.folder}: the verdict is of another evaluation than the run's")
    report = EvaluationReport.from_bytes(
        store.read(evaluated.report.key), where=evaluated.report.key
    )
    predictions = pq.read_table(io.BytesIO(store.read(evaluated.predictions.key))).to_pandas()
    config = ModelConfig.model_validate(manifest.config)
    version = read_version(store, manifest.model, manifest.version, digest=trained.manifest.sha256)
    plots = draw_plots(predictions, report, config)
    for plot in plots:
        store.write(f"{paths.card}/{plot.file}", plot.png)
    key = f"{paths.card}/card.md"
    text = render(Content(manifest, config, version, report, verdict, plots))
    store.write(key, text.encode())
    return key


def render(content: Content) -> str:
    """Return the card as Markdown."""
    card = Card(None, template=None, model_diagram=False)
    title = escaped(content.config.title).replace("/", "\\/")
    sections = {
        "": _head(content),
        "Purpose": _purpose(content),
        "Decision": gates_table(content.verdict),
        "Scores": _scores(content),
        "Slices": slices_table(content.report),
        "Fairness": _fairness(content),
        "Limits": _limits(content),
        "Data": _data(content),
        "How it was made": _making(content),
    }
    for name, text in sections.items():
        if text:
            card.add(**{f"{title}/{name}" if name else title: text})
        for plot in content.plots:
            if name == ("Slices" if plot.file == SLICES_FILE else "Scores"):
                card.add_plot(
                    description=plot.caption,
                    alt_text=plot.title,
                    **{f"{title}/{name}/{plot.title}": plot.file},
                )
    return str(card.render()).strip() + "\n"


def _head(content: Content) -> str:
    verdict, run = content.verdict, content.run
    answer = answer_words(verdict.answer).upper()
    return (
        f"Version `{content.version.version}`, trained on data of {content.version.data_date}.\n\n"
        f"> **{answer}**: {escaped(verdict.headline)}\n\n"
        f"Run {code(run.run_id)} of {code(run.dag_id)}, evaluated "
        f"{content.report.created_at:%Y-%m-%d %H:%M} UTC."
    )


def _purpose(content: Content) -> str:
    config = content.config
    return (
        f"{escaped(config.description)}\n\n"
        f"Owner: **{escaped(config.owner)}**. Kind: {config.problem}. It predicts "
        f"{code(config.data.label)} from {len(content.version.features)} columns."
    )


def _scores(content: Content) -> str:
    report = content.report
    lines = [
        f"On the same {report.holdout.rows:,} rows of the holdout, which no training saw."
        + (
            f" The naive baseline says {report.baseline.answers}."
            if report.baseline.answers
            else ""
        ),
        scores_table(report),
        *opponent_lines(report),
    ]
    return "\n\n".join(lines)


def _fairness(content: Content) -> str:
    return "\n\n".join(_audit(audit) for audit in content.report.fairness)


def _audit(audit: Fairness) -> str:
    rows = [
        [
            escaped(group.group),
            f"{group.rows:,}",
            plain(group.selection_rate),
            plain(group.true_positive_rate),
            plain(group.false_positive_rate),
            "yes" if group.is_judged else "no, too few rows",
        ]
        for group in audit.groups
    ]
    columns = ("Group", "Rows", "Selected", "True positive rate", "False positive rate", "Judged")
    lines = [
        f"By **{escaped(audit.attribute)}**, which the model does not read:",
        table(columns, rows),
    ]
    if audit.disparate_impact is not None:
        own = ""
        if audit.label_disparate_impact is not None:
            own = f" In the labels themselves it is {number(audit.label_disparate_impact, 3)}."
        lines.append(
            f"Disparate impact, the lowest selection rate by the highest, is "
            f"**{number(audit.disparate_impact, 3)}** (the four-fifths rule asks for 0.80).{own}"
        )
    if audit.equalized_odds_difference is not None:
        lines.append(
            f"Equalised odds: rates of groups lie up to "
            f"{number(audit.equalized_odds_difference, 3)} apart."
        )
    return "\n\n".join(lines)


def _limits(content: Content) -> str:
    """Say what the numbers above do not show."""
    report = content.report
    small = [
        f"{escaped(item.column)} = {escaped(item.value)}"
        for item in report.slices
        if not item.is_judged
    ]
    small += [
        f"{escaped(audit.attribute)} {escaped(group.group)}"
        for audit in report.fairness
        for group in audit.groups
        if not group.is_judged
    ]
    undefined = [
        metric_name(name) for name, value in report.challenger.metrics.items() if value is None
    ]
    least = content.config.gates.min_group_rows
    notes = [
        f"Scores are of {report.holdout.rows:,} rows of one delivery, not of a later time.",
        f"Not judged, with fewer than {least} rows: {', '.join(small)}." if small else "",
        f"Could not be computed: {', '.join(undefined)}." if undefined else "",
        f"{report.holdout.rows_in_training:,} rows of the holdout are in the training part as well."
        if report.holdout.rows_in_training
        else "",
        "A ratio within its limit is no proof of fairness." if report.fairness else "",
        *_margins_too_narrow(content),
        _how_it_predicts(content.version),
    ]
    return "\n".join(f"- {note}" for note in notes if note)


def _margins_too_narrow(content: Content) -> Iterator[str]:
    """Say against whom not even an equal version could pass, whatever this one did."""
    report, policy = content.report, content.config.gates
    for which, opponent in report.opponents:
        if opponent.comparison is not None:
            margin = margin_against(opponent, report, policy)
            never = why_never_met(opponent.comparison, margin.value)
            if never is not None:
                yield f"Against the {OPPONENTS[which]}, {never}."


def _how_it_predicts(version: VersionManifest) -> str:
    if version.predicts_by is None:
        return f"It loads with scikit-learn {_library(version, 'scikit-learn')} only."
    command = code(" ".join(version.predicts_by.command))
    return f"It predicts by a command, {command}, run beside the scripts that it brings."


def _library(version: VersionManifest, name: str) -> str:
    found = {library.name: library.version for library in version.libraries}.get(name, "unknown")
    return escaped(".".join(found.split(".")[:2]))


def _data(content: Content) -> str:
    run, version, report = content.run, content.version, content.report
    files = [
        [escaped(file.name), f"{file.size:,}", f"`{file.sha256[:16]}…`"]
        for file in run.delivery.files[:20]
    ]
    more = len(run.delivery.files) - len(files)
    summary = (
        f"Delivery {code(run.delivery.location)} of {version.data_date}: {version.train_rows:,} "
        f"rows to train on, {report.holdout.rows:,} held out. {split_words(version.split)}"
    )
    lines = [summary, table(("File", "Bytes", "SHA-256"), files)]
    if more > 0:
        lines.append(f"… and {more:,} more files.")
    return "\n\n".join(lines)


def _making(content: Content) -> str:
    version, run = content.version, content.run
    made_by = version.code
    digests = {
        "code that trains": made_by.training_digest,
        "code that judges": run.code.judging_digest,
    }
    rows = [
        ["columns it reads", ", ".join(code(name) for name in version.features)],
        ["seed", str(version.seed)],
        ["commit", code(made_by.git_sha) if made_by.git_sha else "unknown"],
        [
            "core, model, lock",
            ", ".join(
                f"`{digest[:12]}…`"
                for digest in (made_by.core_digest, made_by.model_digest, made_by.lock_digest)
            ),
        ],
        [
            "libraries",
            ", ".join(f"{escaped(x.name)} {escaped(x.version)}" for x in version.libraries)
            or "those of its command",
        ],
        *([[words, f"`{digest[:12]}…`"] for words, digest in digests.items() if digest]),
        ["Python", escaped(made_by.python)],
        ["training", f"{number(version.train_seconds, 3)} s"],
        ["peak memory", f"{number(version.peak_memory_bytes / 1e6, 3)} MB"],
        ["fingerprint", f"`{version.fingerprint}`"],
    ]
    command = f"python -m include.retraining reproduce {run.run}"
    return f"{table(('', ''), rows)}\n\nTo make it again:\n\n```sh\n{command}\n```"
