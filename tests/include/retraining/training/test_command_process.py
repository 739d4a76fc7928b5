from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from include.retraining.config.sections import Commands
from include.retraining.exceptions import TrainingError
from include.retraining.training import command_process
from include.retraining.training.command_model import (
    ExternalModel,
    started,
    train_model,
)
from tests.support.toy_commands import ANSWER, FRAME, PREDICT_2, TASK, TRAIN, commands, script

COMMANDS = Commands.model_validate(commands(format=2))


def train(predict: str = PREDICT_2, *, more: str = "") -> ExternalModel:
    """A model in format 2."""
    scripts = {"train.py": script(TRAIN, more).encode(), "predict.py": predict.encode()}
    return train_model(TASK, COMMANDS, scripts)


@pytest.fixture(scope="module")
def model() -> ExternalModel:
    """A model that answers as it must."""
    return train()


def test_one_process_answers_one_request_after_another(model: ExternalModel, tmp_path: Path):
    """What it read once it need not read again, and its folder does not fill up."""
    note = f"""
        import os
        with open({str(tmp_path / "pids")!r}, "a") as pids:
            pids.write(f"{{os.getpid()}} {{sorted(os.listdir('data'))}}\\n")
    """
    noting = ExternalModel(**vars(model) | {"scripts": {"predict.py": encoded(note, "# before")}})
    with started(noting) as running:
        found = [running.predict(FRAME.iloc[:count]) for count in (3, 1, 50)]
    assert [len(values) for values in found] == [3, 1, 50]
    assert np.array_equal(found[2], model.predict(FRAME))
    said = [line.split(" ", 1) for line in (tmp_path / "pids").read_text().splitlines()]
    assert len({pid for pid, _ in said}) == 1
    assert [files for _, files in said] == [f"['rows-{n}.csv']" for n in (1, 2, 3)]


def encoded(more: str, place: str = "# more") -> bytes:
    """The script that predicts, with more lines in it."""
    return script(PREDICT_2, more, place).encode()


def test_a_command_in_format_2_is_asked_what_the_document_says():
    """The tasks name no file of rows: each request does."""
    keep = "pathlib.Path(task['model'], 'task.json').write_text(open(sys.argv[1]).read())"
    model = train(more=keep)
    told = json.loads(model.files["task.json"])
    assert told == {
        "format": 2,
        "task": "train",
        "problem": "binary",
        "features": ["a", "b"],
        "label": "y",
        "classes": [0, 1],
        "positive": 1,
        "seed": 7,
        "tables": "csv",
        "data": "data/train.csv",
        "model": "model",
    }
    with pytest.raises(TrainingError) as caught, started(asking(model, "raise SystemExit(5)")):
        pass  # nothing is asked, and yet it must end well
    assert "ended with exit code 5" in str(caught.value)


def asking(model: ExternalModel, more: str, place: str = "# at the end") -> ExternalModel:
    """The model with a script that does something more."""
    return ExternalModel(**vars(model) | {"scripts": {"predict.py": encoded(more, place)}})


def test_the_loop_in_the_document_answers(model: ExternalModel):
    """The lines that the document shows in Python are a command that answers."""
    text = (Path(__file__).parents[4] / "docs" / "any-language.md").read_text(encoding="utf-8")
    (loop,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shown = ExternalModel(**vars(model) | {"scripts": {"predict.py": f"{ANSWER}\n{loop}".encode()}})
    with started(shown) as running:
        found = [running.predict(FRAME) for _ in range(2)]
    assert np.array_equal(found[0], found[1])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("raise SystemExit(3)", "ended with exit code 3 before it answered request 2; what it"),
        ("raise SystemExit", "ended with exit code 0 before it answered request 2; "),
        ("1 / 0", "ended with exit code 1 before it answered request 2; "),
        ("import os; os.kill(os.getpid(), 9)", r"was killed \(SIGKILL\), most likely out of mem"),
        (
            """
            import subprocess
            subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
            raise SystemExit(6)
            """,
            "ended with exit code 6 before it answered request 2; ",
        ),
    ],
)
def test_a_command_that_dies_between_two_requests_is_named(
    model: ExternalModel, more: str, message: str
):
    """How it ended and at which request, also where a child of it keeps its output open."""
    with pytest.raises(TrainingError, match=message) as caught:
        ask_twice(asking(model, second_time(more), "# before"))
    assert str(caught.value).startswith("training.commands.predict (")
    assert "\n" not in str(caught.value)


def second_time(more: str) -> str:
    """Lines that are reached by the second request only."""
    body = textwrap.indent(textwrap.dedent(more).strip("\n"), "    ")
    return f"if 'rows-2' in line:\n{body}"


def ask_twice(model: ExternalModel) -> None:
    """Ask for rows that are answered, then for more."""
    with started(model) as running:
        assert len(running.predict(FRAME)) == 50
        running.predict(FRAME)


def test_what_else_a_command_prints_goes_to_the_log(
    model: ExternalModel, capfd: pytest.CaptureFixture[str]
):
    """Words, a very long line, half a line, bytes that are no text: none of them is an answer."""
    noise = """
        print("reading", line, end="")
        print("x" * 200_000)
        sys.stdout.flush()
        sys.stdout.buffer.write(bytes([0xff, 0xfe, 10]))
        sys.stdout.buffer.write(b"half a line")
        sys.stdout.buffer.write(b"\\n")
        sys.stdout.flush()
    """
    with started(asking(model, noise, "# more")) as running:
        first, second = running.predict(FRAME), running.predict(FRAME)
    assert np.array_equal(first, second)
    out, err = capfd.readouterr()
    assert out == ""
    assert "reading data/rows-1.csv data/predictions-1.csv" in err
    assert err.count("x" * 200_000) == 2
    assert err.count("half a line") == 2


REWRITE = """
path = pathlib.Path(line.split()[1])
header, *rows = path.read_text().splitlines()
{}
path.write_text("\\n".join([header, *rows]))
"""


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("rows.pop()", r"predictions-2.csv has 49 rows, must have one for each of the 50 rows"),
        ("rows[0] = rows[1]", "predictions-2.csv column row: 1 rows name a row that another one"),
        ("header = 'row,answer'", "must have one column 'prediction', has 0"),
        ("rows = ['x' * 10_000_000]", "has 1 rows, must have one for each of the 50"),
    ],
)
def test_an_answer_that_is_wrong_is_named(model: ExternalModel, more: str, message: str):
    """The second request is checked as the first one is."""
    with pytest.raises(TrainingError, match=message):
        ask_twice(asking(model, second_time(REWRITE.format(more)), "# more"))


def test_an_answer_without_a_file_is_named(model: ExternalModel):
    """That the line came back says that the file is there."""
    with pytest.raises(TrainingError, match=r"predictions-2\.csv was not written"):
        ask_twice(asking(model, second_time("os.remove(line.split()[1])"), "# more"))


def test_a_command_that_closes_its_output_is_named(
    model: ExternalModel, monkeypatch: pytest.MonkeyPatch
):
    """It cannot answer any more, and is not waited for."""
    monkeypatch.setattr(command_process, "STOP_SECONDS", 0.1)
    more = "import os, time; os.close(1); time.sleep(600)"
    with pytest.raises(TrainingError, match="closed its standard output before it answered req"):
        asking(model, more, "# before").predict(FRAME)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="Linux only")
def test_a_command_that_does_not_end_is_ended_and_its_answers_count(
    model: ExternalModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """A server that overlooks the end of its input costs a moment, not the run."""
    monkeypatch.setattr(command_process, "STOP_SECONDS", 0.1)
    assert len(asking(model, "import time; time.sleep(600)").predict(FRAME)) == 50
    assert "did not end within 0.1 s of the end of its standard input" in caplog.text


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="Linux only")
def test_nothing_of_a_command_is_left_when_asking_fails(model: ExternalModel, tmp_path: Path):
    """What goes wrong here ends it, with what it started."""
    more = f"""
        import os, subprocess
        sleeps = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
        pids = [os.getpid(), subprocess.Popen(sleeps, start_new_session=True).pid]
        pathlib.Path({str(tmp_path / "pids")!r}).write_text(json.dumps(pids))
    """
    with pytest.raises(ZeroDivisionError):
        fail_while_asking(asking(model, more, "# before"))
    assert not any(is_running(pid) for pid in json.loads((tmp_path / "pids").read_text()))


def fail_while_asking(model: ExternalModel) -> None:
    """Ask, then fail before the end of the block."""
    with started(model) as running:
        running.predict(FRAME)
        1 / 0  # noqa: B018 any error


def is_running(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_a_program_that_is_not_there_is_named_in_format_2(model: ExternalModel):
    """As in format 1."""
    absent = ExternalModel(**vars(model) | {"command": ("no-such-program", "predict.py")})
    with pytest.raises(TrainingError, match="'no-such-program' must be installed where this step"):
        absent.predict(FRAME)


ARROW = """
import json, sys
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

task = json.load(open(sys.argv[1]))
read, write = {
    "arrow": (pa.ipc.open_file, lambda table, path: write_arrow(table, path)),
    "parquet": (pq.ParquetFile, pq.write_table),
}[task["tables"]]

def write_arrow(table, path):
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
"""
ARROW_TRAIN = (
    ARROW
    + """
table = read(task["data"])
table = table.read_all() if task["tables"] == "arrow" else table.read()
mean = pc.mean(table["a"]).as_py()
open(task["model"] + "/mean.txt", "w").write(repr(mean))
open(task["model"] + "/types.txt", "w").write(str(table.schema))
"""
)
ARROW_PREDICT = (
    ARROW
    + """
mean = float(open(task["model"] + "/mean.txt").read())
for line in sys.stdin:
    data, predictions = line.split()
    table = read(data)
    table = table.read_all() if task["tables"] == "arrow" else table.read()
    a = pc.subtract(table["a"], mean)
    yes = pc.divide(1.0, pc.add(1.0, pc.exp(pc.multiply(-2.0, a))))
    answer = {"row": table["row"], "prediction": pc.greater(yes, 0.5), "probability": yes}
    write(pa.table(answer), predictions)
    print(line, end="", flush=True)
"""
)


@pytest.mark.parametrize("tables", ["arrow", "parquet"])
def test_tables_are_of_the_kind_that_the_yaml_names(model: ExternalModel, tables: str):
    """With types instead of text, they give the same predictions as CSV."""
    python = [sys.executable]
    typed = Commands.model_validate({
        "train": [*python, "train.py"],
        "predict": [*python, "predict.py"],
        "format": 2,
        "tables": tables,
    })
    scripts = {"train.py": ARROW_TRAIN.encode(), "predict.py": ARROW_PREDICT.encode()}
    made = train_model(TASK, typed, scripts)
    assert made.files["types.txt"].decode() == "a: double\nb: double\ny: int64"
    found, expected = made.predictions(FRAME), model.predictions(FRAME)
    assert found.values.tolist() == expected.values.tolist()
    assert np.allclose(found.probabilities, expected.probabilities, rtol=0, atol=1e-12)
