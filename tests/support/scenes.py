"""What end-to-end tests share: data, edits of a model's code, and the states that runs end in."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from include.local_airflow.demo import samples
from include.retraining.config.model import load_model
from include.retraining.data.split import holdout_mask
from tests.support.airflow_harness import EndedRun

TASKS = (
    "wait_for_data",
    "plan_run",
    "no_change",
    "validate_data",
    "grade_champion",
    "end_of_grading",
    "train_model",
    "evaluate_model",
    "check_quality",
    "deploy_model",
    "abort_pipeline",
    "publish_card",
)
FIT = "    return make_pipeline(StandardScaler(), RidgeCV(alphas=(0.1, 1.0, 10.0, 100.0)))\n"


def states(**special: str) -> dict[str, str]:
    """Return a state for every task: success, but for those that are named."""
    return {task: special.get(task, "success") for task in TASKS}


PROMOTED = states(no_change="skipped", abort_pipeline="skipped")
REFUSED = states(no_change="skipped", deploy_model="skipped", abort_pipeline="failed")
UNCHANGED = {
    task: "success"
    if task in {"wait_for_data", "plan_run", "no_change", "end_of_grading"}
    else "skipped"
    for task in TASKS
}


def stopped_at(task: str) -> dict[str, str]:
    """Return the states of a run that a task of the main line ended."""
    line = [name for name in TASKS if name != "no_change"]
    place = line.index(task)
    found = dict.fromkeys(line[:place], "success") | {task: "failed"}
    found |= dict.fromkeys(line[place + 1 :], "upstream_failed")
    found["end_of_grading"] = "success"  # however the grading ended
    return found | {"no_change": "upstream_failed" if place < 2 else "skipped"}


def patients() -> pd.DataFrame:
    """Return the diabetes data as its producer delivers it."""
    return pd.read_csv(io.BytesIO(samples.diabetes_progression()))


def with_poor_training_labels(seed: int) -> pd.DataFrame:
    """Return the data with the training labels shuffled and the holdout as it is."""
    frame = patients()
    training = ~holdout_mask(frame, load_model("diabetes_progression"))
    shuffled = np.random.default_rng(seed).permutation(frame.loc[training, "progression"])
    return frame.assign(
        progression=frame["progression"].mask(
            training,
            pd.Series(shuffled, index=frame.index[training]) * 0.6 + frame["progression"] * 0.4,
        )
    )


def waiting_for(file: Path) -> Callable[[str], str]:
    """Return an edit of a model's code: training goes on only when a file is there."""
    wait = (
        "    import time\n"
        "    from pathlib import Path\n"
        f"    while not Path({str(file)!r}).exists():\n"
        "        time.sleep(0.05)\n"
    )
    return lambda text: text.replace(FIT, wait + FIT)


def telling_secrets(text: str, *, fails: bool = False) -> str:
    """Edit a model's code: it prints all its environment, and may fail with the worst of it."""
    tell = "    import os\n    print(dict(os.environ), flush=True)\n"
    if fails:
        tell += "    raise RuntimeError(os.environ['RETRAINING_STORE_OPTIONS'])\n"
    return text.replace(FIT, tell + FIT)


def never_ending(text: str) -> str:
    """Edit a model's code: training goes on for ever, has a child, and both ignore SIGTERM."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    endless = (
        "    import subprocess\n"
        "    import sys\n"
        f"    subprocess.Popen([sys.executable, '-c', {deaf + '; time.sleep(3600)'!r}])\n"
        f"    {deaf}\n"
        "    while True:\n"
        "        time.sleep(1)\n"
    )
    return text.replace(FIT, endless + FIT)


def failing_while(file: Path) -> Callable[[str], str]:
    """Return an edit of a model's code: training raises as long as a file is there."""
    fail = (
        "    from pathlib import Path\n"
        f"    if Path({str(file)!r}).exists():\n"
        "        raise RuntimeError('singular matrix <!channel>')\n"
    )
    return lambda text: text.replace(FIT, fail + FIT)


def check_task_states(ended: EndedRun, expected: dict[str, str]) -> None:
    """Every task is in the state it should be in."""
    assert ended.tasks == expected
