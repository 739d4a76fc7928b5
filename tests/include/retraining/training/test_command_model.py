from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.retraining.config.sections import Commands
from include.retraining.exceptions import TrainingError
from include.retraining.training.command_model import ExternalModel, TrainingTask, train_model
from include.retraining.training.command_process import PASSED_ON
from tests.support.toy_commands import FRAME, PREDICT, TASK, TRAIN, commands, script

COMMANDS = Commands.model_validate(commands())
TRAIN_TASK: dict[str, Any] = {
    "format": 1,
    "task": "train",
    "problem": "binary",
    "features": ["a", "b"],
    "label": "y",
    "classes": [0, 1],
    "positive": 1,
    "seed": 7,
    "data": "train.csv",
    "model": "model",
}
PREDICT_TASK: dict[str, Any] = {
    "format": 1,
    "task": "predict",
    "problem": "binary",
    "features": ["a", "b"],
    "classes": [0, 1],
    "positive": 1,
    "model": "model",
    "data": "rows.csv",
    "predictions": "predictions.csv",
}


# What differs from one model to the next.
OURS = {"features": [], "label": "", "seed": 0}

# Where a machine's libraries and GPUs are.
MACHINE = {
    "LD_LIBRARY_PATH": "/usr/local/cuda/lib64",
    "CUDA_VISIBLE_DEVICES": "0",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
}


def train(more: str = "", *, predict: str = PREDICT, **scripts: str) -> ExternalModel:
    """Train with a script that does something more."""
    files = {"train.py": script(TRAIN, more), "predict.py": predict, **scripts}
    return train_model(TASK, COMMANDS, {name: text.encode() for name, text in files.items()})


def kept(model: ExternalModel, name: str) -> str:
    """A file that training left."""
    return model.files[name].decode()


def test_a_command_is_told_what_to_train_and_nothing_more():
    """It sees the task, the features and the label, and the scripts beside it."""
    found = train("""
        keep = pathlib.Path(task["model"])
        (keep / "task.json").write_text(open(sys.argv[1]).read())
        (keep / "first.csv").write_text("".join(open(task["data"]).readlines()[:2]))
        (keep / "seen.txt").write_text(repr(sorted(x.name for x in pathlib.Path().iterdir())))
        (keep / "argv.txt").write_text(repr(sys.argv[1:]))
    """)
    assert json.loads(kept(found, "task.json")) == TRAIN_TASK
    header, first = kept(found, "first.csv").splitlines()
    assert header == "a,b,y"
    assert [float(cell) for cell in first.split(",")] == FRAME.loc[0, ["a", "b", "y"]].tolist()
    seen = ["model", "predict.py", "task.json", "train.csv", "train.py"]
    assert kept(found, "seen.txt") == repr(seen)
    assert kept(found, "argv.txt") == "['task.json']"
    assert set(found.files) == {"task.json", "first.csv", "seen.txt", "argv.txt", "mean.txt"}


def test_a_command_is_told_what_to_predict_and_nothing_more():
    """It sees numbered rows with the features of the version, never the label or the key."""
    predict = script(
        PREDICT,
        """
        keep = pathlib.Path(task["predictions"])
        keep.rename("mine.csv")
        raise SystemExit(open(sys.argv[1]).read() + open(task["data"]).readline())
        """,
    )
    model = train(predict=predict)
    said = capture_stderr(lambda: model.predict(FRAME))
    told, _, header = said.rpartition("}")
    assert json.loads(told[told.index("{") :] + "}") == PREDICT_TASK
    assert header.split()[0] == "row,a,b"


def capture_stderr(do) -> str:
    """What a command says while something is done that fails."""
    reading, writing = os.pipe()
    kept_open = os.dup(2)
    os.dup2(writing, 2)
    os.close(writing)
    try:
        with pytest.raises(TrainingError):
            do()
    finally:
        os.dup2(kept_open, 2)
        os.close(kept_open)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def test_the_document_shows_the_very_tasks():
    """The two examples in the document have the fields of a real task, in their order."""
    text = (Path(__file__).parents[4] / "docs" / "any-language.md").read_text(encoding="utf-8")
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    told = [TRAIN_TASK, PREDICT_TASK]
    assert [list(task) for task in shown] == [list(task) for task in told]
    assert [{**task, **OURS} for task in shown] == [{**task, **OURS} for task in told]


def test_predictions_belong_to_their_rows():
    """Whatever index the rows have and however often one is there, each has its prediction."""
    model = train()
    rows = FRAME[["a", "b"]].iloc[[3, 1, 3]]
    found = model.predictions(rows)
    assert found.probabilities[0].tolist() == found.probabilities[2].tolist()
    assert found.probabilities[0].tolist() != found.probabilities[1].tolist()
    assert found.values.tolist() == (found.probabilities[:, 1] > 0.5).astype(int).tolist()
    assert model.predict(rows).tolist() == found.values.tolist()
    assert found.classes == (0, 1)


@pytest.mark.fault("C10", "L07")
def test_no_secret_of_ours_is_in_a_commands_environment(monkeypatch: pytest.MonkeyPatch):
    """It gets the way to programs, libraries and GPUs, limits on threads, and constants."""
    canaries = {
        "RETRAINING_STORE": "s3://canary",
        "RETRAINING_STORE_OPTIONS": '{"aws_secret_access_key": "canary"}',
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/canary",
        "AWS_PROFILE": "canary",
        "AIRFLOW__CORE__FERNET_KEY": "canary",
        "AIRFLOW_CONN_STORE": "canary",
        "SLACK_TOKEN": "canary",
        "HOME": "/canary",
        "TZ": "Asia/Canary",
        "LC_ALL": "canary",
        "NVIDIA_API_KEY": "canary",
    }
    for name, value in canaries.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    for name, value in MACHINE.items():
        monkeypatch.setenv(name, value)
    found = train("""
        import os
        pathlib.Path(task["model"], "environ.json").write_text(json.dumps(dict(os.environ)))
        pathlib.Path(task["model"], "home.txt").write_text(repr(os.listdir(os.environ["HOME"])))
    """)
    seen = json.loads(kept(found, "environ.json"))
    # What the interpreter itself adds in a C locale is no secret.
    allowed = {"PATH", "HOME", "TMPDIR", "LANG", "TZ", *PASSED_ON, *MACHINE, "LC_CTYPE"}
    assert set(seen) <= allowed
    assert "anary" not in json.dumps(seen)
    assert (seen["TZ"], seen["LANG"], seen["OMP_NUM_THREADS"]) == ("UTC", "C.UTF-8", "3")
    assert MACHINE.items() <= seen.items()
    assert kept(found, "home.txt") == "[]"


def test_what_a_command_says_comes_as_it_says_it(capfd: pytest.CaptureFixture[str]):
    """Both of its outputs go to ours, past any answer that a person asked for on our own."""
    train('print("from stdout", flush=True); print("from stderr", file=sys.stderr)')
    out, err = capfd.readouterr()
    assert out == ""
    assert "from stdout" in err
    assert "from stderr" in err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("raise SystemExit(3)", "ended with exit code 3; what it said is in the log of the job"),
        ("1 / 0", "ended with exit code 1; "),
        ("import os; os.kill(os.getpid(), 9)", r"was killed \(SIGKILL\), most likely out of mem"),
        ("import os; os.kill(os.getpid(), 15)", r"was killed \(SIGTERM\); "),
    ],
)
def test_a_command_that_fails_is_named_with_how_it_ended(more: str, message: str):
    """Its own words stay in the log: they may hold values of the data."""
    with pytest.raises(TrainingError, match=message) as caught:
        train(more)
    text = str(caught.value)
    assert text.startswith("training.commands.train (")
    assert "train.py" in text
    assert "\n" not in text
    assert "ZeroDivision" not in text


def test_a_program_that_is_not_there_is_told():
    """The error names the program, and where it must be."""
    with pytest.raises(TrainingError, match="'no-such-program' must be installed where this step"):
        train_model(TASK, Commands(train=("no-such-program", "x"), predict=("x",)), {})


@pytest.mark.fault("C06")
@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("sys.exit()", r"model holds 0 files, must hold 1 to 1,000"),
        (
            "[pathlib.Path(task['model'], f'{n}').write_text('') for n in range(1000)]",
            "model holds 1,001 files",
        ),
        ("pathlib.Path(task['model'], 'link').symlink_to('/etc/passwd')", "link: a link or a spec"),
        ("pathlib.Path(task['model'], 'up').symlink_to('..')", "up: a link or a special file"),
        ("pathlib.Path(task['model'], '.hidden').write_text('')", r"model/\.hidden: a name begins"),
        ("pathlib.Path(task['model'], 'a b').write_text('')", "model/a b: a name begins with"),
        (
            "pathlib.Path(task['model']).rename('x'); pathlib.Path(task['model']).symlink_to('x')",
            "model is no folder any more",
        ),
    ],
)
def test_a_model_that_cannot_be_kept_is_refused(more: str, message: str):
    """Plain files with plain names, at least one and not too many."""
    with pytest.raises(TrainingError, match=message):
        train(more)


def test_a_model_may_have_folders():
    """Formats that are folders of files are kept as they are."""
    found = train("""
        below = pathlib.Path(task["model"], "variables", "deep")
        below.mkdir(parents=True)
        (below / "weights.bin").write_bytes(bytes(range(256)))
    """)
    assert found.files["variables/deep/weights.bin"] == bytes(range(256))
    assert len(found.predict(FRAME)) == len(FRAME)


def test_what_a_command_does_to_its_folder_stays_there():
    """Each run has a fresh folder with the scripts as they were trained with."""
    predict = script(
        PREDICT,
        """
        assert not pathlib.Path("been_here").exists()
        pathlib.Path("been_here").write_text("x")
        pathlib.Path("predict.py").write_text("raise SystemExit(1)")
        pathlib.Path(task["model"], "mean.txt").write_text("1e9")
        """,
    )
    model = train(predict=predict)
    first, second = model.predictions(FRAME), model.predictions(FRAME)
    assert np.array_equal(first.probabilities, second.probabilities)


def test_a_command_that_answers_otherwise_than_it_must_is_named():
    """What is wrong with its predictions is told with the command."""
    model = train(predict=PREDICT.replace("reversed(rows)", "rows[1:]"))
    with pytest.raises(
        TrainingError, match=r"training\.commands\.predict .*has 49 rows, must have"
    ):
        model.predict(FRAME)


def test_a_binary_problem_needs_two_classes():
    """Rows of one class teach nothing, and leave a probability without its opposite."""
    one = TrainingTask(
        problem="binary",
        rows=pd.DataFrame({"a": [1.0]}),
        label="y",
        labels=np.array([1]),
        classes=(1,),
        positive=1,
        seed=1,
    )
    with pytest.raises(TrainingError, match="rows of two classes"):
        train_model(one, COMMANDS, {})


def is_running(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="Linux only")


@needs_proc
@pytest.mark.parametrize("new_session", [False, True])
def test_what_a_command_leaves_running_is_ended(new_session: bool):
    """A process in the background ends with the command, even from a session of its own."""
    found = train(f"""
        import subprocess
        sleeps = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
        left = subprocess.Popen(sleeps, start_new_session={new_session})
        pathlib.Path(task["model"], "pid.txt").write_text(str(left.pid))
    """)
    assert not is_running(int(kept(found, "pid.txt")))


@needs_proc
def test_a_command_ends_with_its_job_and_so_do_its_children(tmp_path: Path):
    """Who kills the job's process group kills the command and what it started."""
    waits = f"""
        import os, subprocess, time
        sleeps = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
        child = subprocess.Popen(sleeps)
        place = pathlib.Path({str(tmp_path)!r})
        (place / "pids").write_text(f"{{os.getpid()}} {{child.pid}}")
        (place / "pids").rename(place / "ready")
        time.sleep(600)
    """
    (tmp_path / "train.py").write_text(script(TRAIN, waits))
    program = f"""
        import pathlib, sys
        sys.path.insert(0, {str(Path(__file__).parents[4])!r})
        from tests.include.retraining.training import test_command_model as module
        from include.retraining.training.command_model import train_model
        script = pathlib.Path({str(tmp_path)!r}, "train.py").read_bytes()
        train_model(module.TASK, module.COMMANDS, {{"train.py": script}})
    """
    job = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "ready").exists():
            assert job.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        pids = [int(word) for word in (tmp_path / "ready").read_text().split()]
        assert all(is_running(pid) for pid in pids)
    finally:
        os.killpg(job.pid, signal.SIGKILL)
        job.wait()
    deadline = time.monotonic() + 60
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)
