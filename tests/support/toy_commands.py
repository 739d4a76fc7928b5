"""A small model whose commands are Python scripts: any program would do, and this one is there."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

from include.retraining.training.command_model import TrainingTask
from tests.support.toy_models import Toy, make_frame

FRAME = make_frame("binary", 50)
TASK = TrainingTask(
    problem="binary",
    rows=FRAME[["a", "b"]],
    label="y",
    labels=FRAME["y"].to_numpy(),
    classes=(0, 1),
    positive=1,
    seed=7,
)
TRAIN = """
import csv, json, pathlib, sys
task = json.load(open(sys.argv[1], encoding="utf-8"))
rows = list(csv.DictReader(open(task["data"], encoding="utf-8", newline="")))
mean = sum(float(row["a"]) for row in rows) / len(rows)
# more
pathlib.Path(task["model"], "mean.txt").write_text(repr(mean))
"""

ANSWER = """
import csv, json, math, os, pathlib, sys
task = json.load(open(sys.argv[1], encoding="utf-8"))
mean = float(pathlib.Path(task["model"], "mean.txt").read_text())
names = [f"probability_{name}" for name in task.get("classes", ())]
names = {"binary": ["probability"], "multiclass": names, "regression": []}[task["problem"]]

def answer(data, predictions):
    rows = list(csv.DictReader(open(data, encoding="utf-8", newline="")))
    with open(predictions, "w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["row", "prediction", *names])
        for row in reversed(rows):
            a = float(row["a"]) - mean
            yes = 1 / (1 + math.exp(-2 * a))
            if task["problem"] == "regression":
                cells = [50 + 20 * a]
            elif task["problem"] == "binary":
                cells = [int(yes > 0.5), yes]
            else:  # classes high, low, mid
                chances = [yes / 2, (1 - yes) / 2, 0.5]
                cells = [task["classes"][0 if a > 0.5 else 1 if a < -0.5 else 2], *chances]
            out.writerow([row["row"], *cells])
"""

PREDICT = (
    ANSWER
    + """
answer(task["data"], task["predictions"])
# more
"""
)

PREDICT_2 = (
    ANSWER
    + """
for line in sys.stdin:
    # before
    answer(*line.split())
    # more
    print(line, end="", flush=True)
# at the end
"""
)
"""As `PREDICT`, in format 2."""


def commands(**more: Any) -> dict[str, Any]:
    """`training.commands` of a model whose scripts are in Python."""
    # -I and -S: nothing of the installation takes part, and it starts in a moment.
    python = [sys.executable, "-I", "-S"]
    return {"train": [*python, "train.py"], "predict": [*python, "predict.py"], **more}


def script(text: str, more: str = "", place: str = "# more") -> str:
    """One of the scripts above, with more lines in a place that is meant for them."""
    (indent,) = (line[: -len(place)] for line in text.splitlines() if line.endswith(place))
    return text.replace(indent + place, textwrap.indent(textwrap.dedent(more), indent))


def make_external(toy: Toy, *, train: str = TRAIN, predict: str | None = None, **more: Any) -> Path:
    """Let a toy train and predict by commands, and return the folder of its scripts."""
    predict = predict or (PREDICT_2 if more.get("format") == 2 else PREDICT)
    folder = toy.models / toy.name
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(train)
    (folder / "predict.py").write_text(predict)
    toy.changes["training"] = {"commands": commands(**more)}
    return folder


def make_python(toy: Toy) -> None:
    """Let it train in Python again; versions that predict by a command may still be run."""
    toy.changes["training"] = {"allow_commands": True}
