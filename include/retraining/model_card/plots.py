"""The plots of a model card, drawn by scikit-learn's displays without a screen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # before pyplot, which scikit-learn's displays import

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    PredictionErrorDisplay,
    RocCurveDisplay,
)

from include.retraining.config.model import ModelConfig
from include.retraining.data.labels import is_class
from include.retraining.formatting.numbers import better_words, metric_name, metric_value, number
from include.retraining.formatting.text import truncate
from include.retraining.gate.how_to_read import HOW_TO_READ
from include.retraining.gate.report import EvaluationReport, SliceScores

MAX_POINTS = 50_000
"""Rows that curves are drawn from; a larger holdout is sampled."""
MAX_CLASSES = 20
SLICES_FILE = "slices.png"
MAX_BARS = 30

COLOURS = {"challenger": "#1f5fa8", "champion": "#d9772b", "best": "#6a9c4f"}
REFERENCE: dict[str, Any] = {"color": "#9aa0a9", "linestyle": ":", "linewidth": 1.4}
STYLE: Any = {
    "figure.dpi": 130,
    "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.h_pad": 0.12,
    "font.size": 9.5,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e4e6ea",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "text.parse_math": False,  # a dollar sign in a column's value is a dollar sign
}


@dataclass(frozen=True)
class Plot:
    """One picture."""

    title: str
    file: str
    caption: str
    png: bytes


def draw_plots(
    predictions: pd.DataFrame, report: EvaluationReport, config: ModelConfig
) -> list[Plot]:
    """Draw what the holdout shows.

    Args:
        predictions: the table that the run keeps.
        report: of the same run.
        config: the model's.
    """
    draw = {"binary": _binary, "multiclass": _multiclass, "regression": _regression}
    with mpl.rc_context(STYLE):
        return [*draw[config.problem](predictions, config), *_slices(report)]


@contextmanager
def _figure(width: float = 5.4, height: float = 4.2) -> Iterator[tuple[Any, list[bytes]]]:
    """Give axes to draw on, and the finished PNG in the list afterwards."""
    figure = Figure(figsize=(width, height), layout="constrained")
    png: list[bytes] = []
    yield figure.subplots(), png
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    png.append(buffer.getvalue())


def _binary(table: pd.DataFrame, config: ModelConfig) -> Iterator[Plot]:
    labels = is_class(table["label"].to_numpy(), config.data.positive)
    said_yes = is_class(table["challenger"].to_numpy(), config.data.positive)
    yield _confusion(labels, said_yes, [False, True], ["no", "yes"])
    roles = [role for role in ("best", "champion", "challenger") if f"{role}_probability" in table]
    if not roles or labels.all() or not labels.any():
        return
    if len(table) > MAX_POINTS:
        chosen = np.random.default_rng(0).choice(len(table), MAX_POINTS, replace=False)
        table, labels = table.iloc[chosen], labels[chosen]
    for title, file, caption, draw, axis in _CURVES:
        with _figure() as (axes, png):
            for role in roles:
                draw(labels, table[f"{role}_probability"].to_numpy(), role, axes)
            axes.set(title=title, xlabel=axis[0], ylabel=axis[1], aspect="auto")
            axes.grid(True)
            axes.legend()
        yield Plot(title, file, caption, png[0])


def _roc(labels: Any, chances: Any, role: str, axes: Any) -> None:
    RocCurveDisplay.from_predictions(
        labels,
        chances,
        ax=axes,
        name=role,
        curve_kwargs=_style(role),
        plot_chance_level=role == "challenger",
        chance_level_kw=REFERENCE,
    )


def _precision_recall(labels: Any, chances: Any, role: str, axes: Any) -> None:
    PrecisionRecallDisplay.from_predictions(
        labels,
        chances,
        ax=axes,
        name=role,
        curve_kwargs=_style(role),
        drop_intermediate=True,
        plot_chance_level=role == "challenger",
        chance_level_kw=REFERENCE,
    )


def _calibration(labels: Any, chances: Any, role: str, axes: Any) -> None:
    CalibrationDisplay.from_predictions(
        labels,
        chances,
        n_bins=10,
        strategy="quantile",
        ax=axes,
        name=role,
        ref_line=role == "challenger",
        markersize=4,
        **_style(role),
    )
    for line in axes.lines:
        if line.get_label() == "Perfectly calibrated":
            line.set(**REFERENCE, label="perfectly calibrated")


def _style(role: str) -> dict[str, Any]:
    return {"color": COLOURS[role], "linewidth": 1.8}


_CURVES: tuple[tuple[str, str, str, Callable[..., None], tuple[str, str]], ...] = (
    (
        "ROC curve",
        "roc.png",
        HOW_TO_READ["roc"],
        _roc,
        ("False positive rate", "True positive rate"),
    ),
    (
        "Precision and recall",
        "precision_recall.png",
        HOW_TO_READ["precision_recall"],
        _precision_recall,
        ("Recall", "Precision"),
    ),
    (
        "Calibration",
        "calibration.png",
        HOW_TO_READ["calibration"],
        _calibration,
        ("Predicted probability", "Share of rows that are positive"),
    ),
)


def _multiclass(table: pd.DataFrame, _: ModelConfig) -> Iterator[Plot]:
    labels, values = table["label"].astype(str), table["challenger"].astype(str)
    names = sorted(set(labels) | set(values))
    if len(names) <= MAX_CLASSES:
        yield _confusion(labels.to_numpy(), values.to_numpy(), names, names)


def _confusion(labels: Any, values: Any, classes: list[Any], names: list[str]) -> Plot:
    side = 2.8 + 0.4 * len(names)
    with _figure(side + 0.8, side) as (axes, png):
        ConfusionMatrixDisplay.from_predictions(
            labels,
            values,
            labels=classes,
            display_labels=[truncate(name, 24) for name in names],
            ax=axes,
            cmap="Blues",
            colorbar=False,
            values_format=",d",
        )
        axes.spines[:].set_visible(False)
        axes.set(title="Confusion matrix", xlabel="Predicted", ylabel="Actual")
    return Plot("Confusion matrix", "confusion_matrix.png", HOW_TO_READ["confusion_matrix"], png[0])


def _regression(table: pd.DataFrame, _: ModelConfig) -> Iterator[Plot]:
    finite = table[np.isfinite(table["challenger"].to_numpy(dtype=float))]
    if finite.empty:
        return
    for kind, title, file, caption in _ERRORS:
        with _figure() as (axes, png):
            PredictionErrorDisplay.from_predictions(
                finite["label"].to_numpy(),
                finite["challenger"].to_numpy(),
                kind=kind,
                ax=axes,
                random_state=0,
                scatter_kwargs={"color": COLOURS["challenger"], "alpha": 0.55, "s": 16},
                line_kwargs=REFERENCE,
            )
            axes.xaxis.set_major_locator(AutoLocator())
            axes.yaxis.set_major_locator(AutoLocator())
            axes.grid(True)
            axes.set_title(title)
        yield Plot(title, file, caption, png[0])


_ERRORS = (
    (
        "actual_vs_predicted",
        "Actual and predicted",
        "actual_predicted.png",
        HOW_TO_READ["actual_predicted"],
    ),
    (
        "residual_vs_predicted",
        "Residuals",
        "residuals.png",
        HOW_TO_READ["residuals"],
    ),
)


def _slices(report: EvaluationReport) -> Iterator[Plot]:
    scored = [item for item in report.slices if item.challenger is not None][:MAX_BARS]
    if not scored:
        return
    metric, name = report.metric, metric_name(report.metric)
    places = np.arange(len(scored))
    with _figure(6.2, 1.6 + 0.5 * len(scored)) as (axes, png):
        for role, shift in (("challenger", -0.2), ("champion", 0.2)):
            values = [getattr(item, role) for item in scored]
            if all(value is None for value in values):
                continue
            shown = [np.nan if value is None else metric_value(metric, value) for value in values]
            bars = axes.barh(places + shift, shown, height=0.36, color=COLOURS[role], label=role)
            texts = [
                "" if value is None else number(metric_value(metric, value), 3) for value in values
            ]
            axes.bar_label(bars, texts, padding=3, fontsize=8)
        axes.set_yticks(places, [_slice_name(item) for item in scored])
        axes.invert_yaxis()
        axes.set(title=f"{name} per slice", xlabel=_direction(metric, name))
        axes.margins(x=0.12)
        axes.grid(True, axis="x")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderpad=0.2)
    yield Plot("Score per slice", SLICES_FILE, HOW_TO_READ["slices_plot"], png[0])


def _slice_name(item: SliceScores) -> str:
    name = truncate(f"{item.column} = {item.value}", 40)
    return f"{name}\n{item.rows:,} rows" + ("" if item.is_judged else ", not judged")


def _direction(metric: str, name: str) -> str:
    return f"{name} ({better_words(metric)})"
