"""The model card: what a version is for, what it was made from, and how it did."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from include.retraining.config.model import ModelConfig
from include.retraining.exceptions import EvidenceError
from include.retraining.fingerprint.pinned import PinnedFile
from include.retraining.formatting.markdown import code, escaped, table
from include.retraining.formatting.numbers import metric_name, number
from include.retraining.gate.how_to_read import HOW_TO_READ
from include.retraining.gate.identity import OPPONENTS
from include.retraining.gate.importance import Importances
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
from include.retraining.model_card.drift_section import DRIFT_FILE, draw_drift, drift_table
from include.retraining.model_card.importances import (
    importance_lines,
    importances_table,
    read_importances,
)
from include.retraining.model_card.plots import SLICES_FILE, Plot, draw_plots
from include.retraining.model_card.promise import promise_line
from include.retraining.model_card.template import Markdown, render_markdown
from include.retraining.monitoring.drift import Drift, find_drift
from include.retraining.registry.versions import VersionManifest, read_version
from include.retraining.runs.manifest import RunManifest
from include.retraining.runs.results import read_result
from include.retraining.store.layout import RunPaths
from include.retraining.store.object_store import Store

TEMPLATE = Path(__file__).with_name("card.md.jinja")
MAX_FILES = 20
"""Of a delivery, how many are listed."""


@dataclass(frozen=True)
class Content:
    """Everything a card is made from."""

    run: RunManifest
    config: ModelConfig
    version: VersionManifest
    report: EvaluationReport
    verdict: Verdict
    plots: Sequence[Plot]
    importances: Importances | None = None
    """None for an evaluation of before they were measured."""
    promise: str = ""
    """What the champion scored on the delivery; empty without its grade."""
    drift: Drift | None = None
    """How far the delivery lies from the champion's training rows; None where it is not known."""


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
    drift = find_drift(store, manifest.model, "delivery", paths.run)
    if drift is not None and drift.columns:
        plots.append(draw_drift(drift))
    for plot in plots:
        store.write(f"{paths.card}/{plot.file}", plot.png)
    key = f"{paths.card}/card.md"
    importances = read_importances(store, paths, evaluated.report.sha256)
    promise = promise_line(store, manifest)
    content = Content(
        manifest, config, version, report, verdict, plots, importances, promise, drift
    )
    text = render(content)
    store.write(key, text.encode())
    return key


def render(content: Content) -> str:
    """Return the card as Markdown."""
    report, version, run = content.report, content.version, content.run
    shown = run.delivery.files[:MAX_FILES]
    return render_markdown(
        TEMPLATE,
        **vars(content) | {"promise": Markdown(content.promise)},
        answer=answer_words(content.verdict.answer).upper(),
        gates=Markdown(gates_table(content.verdict, report.metric)),
        scores=Markdown(scores_table(report)),
        opponents=[Markdown(line) for line in opponent_lines(report)],
        importance_lines=[Markdown(line) for line in _importance_lines(content)],
        importance_table=Markdown(_importance_table(content)),
        how_to_read=HOW_TO_READ,
        slices=Markdown(slices_table(report)),
        slices_file=SLICES_FILE,
        drift_file=DRIFT_FILE,
        moved=Markdown(drift_table(content.drift)) if content.drift else "",
        audits=[(audit, _groups(audit)) for audit in report.fairness],
        small=_small_groups(report),
        undefined=[
            metric_name(name) for name, value in report.challenger.metrics.items() if value is None
        ],
        margins_too_narrow=_margins_too_narrow(content),
        scikit_learn=_minor_version(version, "scikit-learn"),
        split=Markdown(split_words(version.split)),
        files=_files(shown),
        more_files=len(run.delivery.files) - len(shown),
        making=_making(content),
    )


def _importance_lines(content: Content) -> list[str]:
    return importance_lines(content.importances) if content.importances else []


def _importance_table(content: Content) -> str:
    return importances_table(content.importances) if content.importances else ""


def _groups(audit: Fairness) -> Markdown:
    """Return the rates of an audit's groups as a table."""
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
    return Markdown(table(columns, rows))


def _small_groups(report: EvaluationReport) -> list[str]:
    """Return the subgroups that have too few rows to be judged."""
    slices = [f"{item.column} = {item.value}" for item in report.slices if not item.is_judged]
    groups = [
        f"{audit.attribute} {group.group}"
        for audit in report.fairness
        for group in audit.groups
        if not group.is_judged
    ]
    return [*slices, *groups]


def _margins_too_narrow(content: Content) -> Iterator[str]:
    """Return against which opponents not even an equal version could pass."""
    report, policy = content.report, content.config.gates
    for which, opponent in report.opponents:
        if opponent.comparison is not None:
            margin = margin_against(opponent, report, policy)
            never = why_never_met(opponent.comparison, margin.value)
            if never is not None:
                yield f"Against the {OPPONENTS[which]}, {never}."


def _minor_version(version: VersionManifest, name: str) -> str:
    installed = {library.name: library.version for library in version.libraries}.get(
        name, "unknown"
    )
    return ".".join(installed.split(".")[:2])


def _files(files: Sequence[PinnedFile]) -> Markdown:
    rows = [[escaped(file.name), f"{file.size:,}", f"`{file.sha256[:16]}…`"] for file in files]
    return Markdown(table(("File", "Bytes", "SHA-256"), rows))


def _making(content: Content) -> Markdown:
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
    return Markdown(table(("", ""), rows))
