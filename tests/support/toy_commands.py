"""A small model whose commands are Python scripts: any program would do, and this one is there."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

from tests.support.toy_models import Toy

TRAIN = """
import csv, json, pathlib, sys
task = json.load(open(sys.argv[1], encoding="utf-8"))
rows = list(csv.DictReader(open(task["data"], encoding="utf-8", newline="")))
mean = sum(float(row["a"]) for row in rows) / len(rows)
# more
pathlib.Path(task["model"], "mean.txt").write_text(repr(mean))
"""

PREDICT = """
import csv, json, math, pathlib, sys
task = json.load(open(sys.argv[1], encoding="utf-8"))
rows = list(csv.DictReader(open(task["data"], encoding="utf-8", newline="")))
mean = float(pathlib.Path(task["model"], "mean.txt").read_text())
names = [f"probability_{name}" for name in task.get("classes", ())]
names = {"binary": ["probability"], "multiclass": names, "regression": []}[task["problem"]]
with open(task["predictions"], "w", encoding="utf-8", newline="") as file:
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
# more
"""


def commands(*, train: str = "train.py", predict: str = "predict.py") -> dict[str, Any]:
    """`training.commands` of a model whose scripts are in Python."""
    # -I and -S: nothing of the installation takes part, and it starts in a moment.
    python = [sys.executable, "-I", "-S"]
    return {"train": [*python, train], "predict": [*python, predict]}


def script(text: str, more: str = "") -> str:
    """One of the scripts above, with more lines in the place that is meant for them."""
    return text.replace("# more", textwrap.dedent(more))


def make_external(toy: Toy, *, train: str = TRAIN, predict: str = PREDICT) -> Path:
    """Let a toy train and predict by commands, and return the folder of its scripts."""
    folder = toy.models / toy.name
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(train)
    (folder / "predict.py").write_text(predict)
    toy.changes["training"] = {"commands": commands()}
    return folder


def make_python(toy: Toy) -> None:
    """Let it train in Python again; versions that predict by a command may still be run."""
    toy.changes["training"] = {"allow_commands": True}
