"""Tests of jobs that fork from a warm parent: real parents, real libraries, real kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from include.orchestration.backends.local import warm_connection, warm_start
from include.orchestration.backends.local.process import ChildProcess, Start, spawn
from include.orchestration.backends.local.warm_attendant import send_order
from include.orchestration.backends.local.warm_start import NotWarm, start_job, start_warm
from tests.support.process_ends import has_ended
from tests.support.warm_jobs import start_bare

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="warm parents are for Linux")


class Jobs:
    """Runs programs as jobs, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(
        self, program: str, how: Start = start_warm, *, name: str = "program", **environment: str
    ) -> ChildProcess:
        """Start a program."""
        (self.folder / f"{name}.py").write_text(textwrap.dedent(program))
        return ChildProcess(
            [sys.executable, "-m", name],
            folder=self.folder,
            environment={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **environment},
            timeout_seconds=120,
            start=how,
        )

    def run(self, program: str, how: Start = start_warm, **environment: str) -> list[str]:
        """Run a program to its end, which must be a good one; return what it printed."""
        child = self.start(program, how, **environment)
        lines = list(child.lines())
        child.end()
        assert (child.exit_code, child.stopped_because) == (0, None), lines
        return lines


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    """Programs in an empty folder."""
    return Jobs(tmp_path)


@pytest.fixture
def own_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The sockets of this test's parents, none of which is there yet; no parent outlives it."""
    folder = tmp_path / "parents"
    folder.mkdir()
    monkeypatch.setattr(warm_connection.tempfile, "gettempdir", lambda: str(folder))
    own = folder / f"retraining-warm-{os.geteuid()}"
    yield own
    for process in parents(own):
        with suppress(psutil.NoSuchProcess):  # it may have ended since it was listed
            process.kill()


def parents(sockets: Path) -> list[psutil.Process]:
    """Return the warm parents, with what they forked, that log into a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            log = Path(f"/proc/{process.pid}/fd/2").readlink()
        except OSError:
            continue
        if log.is_relative_to(sockets) and not has_ended(process.pid):
            found.append(process)
    return found


def only_parent(sockets: Path) -> psutil.Process:
    """Return the one parent that is left when the attendants of jobs that ended are gone."""
    wait_until(lambda: len(parents(sockets)) == 1)
    return parents(sockets)[0]


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition, and fail when it does not come."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


# ---- what a job is ----


def test_a_job_finds_the_libraries_imported(jobs: Jobs) -> None:
    """What the steps import first is there before the job's first line."""
    (found,) = jobs.run(
        "import sys; print({'pandas', 'pyarrow.parquet', 'pandera.pandas'} <= set(sys.modules))"
    )
    assert found == "True"


STATE = """
import os, signal, sys, threading, locale
state = {
    "environment": {k: v for k, v in os.environ.items() if k != "LC_CTYPE"},
    "argv": sys.argv, "path": sys.path, "folder": os.getcwd(), "main": __name__,
    "spec": __spec__.name,
    "leads": os.getpid() == os.getpgrp() == os.getsid(0),
    "descriptors": sorted(os.listdir("/proc/self/fd"))[:-1],
    "encoding": (sys.stdout.encoding, sys.stdout.errors, sys.stdout.write_through),
    "locale": locale.getlocale(), "umask": os.umask(0),
    "signals": [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD)],
    "flags": sys.flags, "threads": threading.active_count(),
    "ours": [name for name in sys.modules if name.partition(".")[0] == "include"],
}
for name, value in state.items(): print(name, value)
"""


def test_a_job_is_the_same_from_scratch_and_warm(jobs: Jobs) -> None:
    """Environment, arguments, paths, group, descriptors, signals: nothing differs."""
    warm = jobs.run(STATE, start_bare, TZ="Europe/Paris")
    assert warm == jobs.run(STATE, spawn, TZ="Europe/Paris")
    assert "leads True" in warm


def test_a_job_runs_the_code_that_lies_there_now(jobs: Jobs) -> None:
    """A file that changed between two jobs is imported anew by the second."""
    package = jobs.folder / "include"
    package.mkdir()
    said = []
    for text in ("before", "afterwards"):
        (package / "__init__.py").write_text(f"SAYS = {text!r}")
        said += jobs.run("import include; print(include.SAYS)", start_bare)
    assert said == ["before", "afterwards"]


@pytest.mark.parametrize("ending", ["raise SystemExit('no')", "1 / 0", "import os; os.abort()"])
def test_a_job_ends_the_same_from_scratch_and_warm(jobs: Jobs, ending: str) -> None:
    """Exit code and last line, and what was registered for the end is done."""
    ends = []
    for how in (spawn, start_bare):
        child = jobs.start(f"import atexit; atexit.register(print, 'bye')\n{ending}", how)
        lines = list(child.lines())
        child.end()
        ends.append((child.exit_code, lines[-2:]))
    assert ends[0] == ends[1]
    assert ends[0][0] in {1, -signal.SIGABRT}


def test_two_jobs_draw_different_random_numbers(jobs: Jobs) -> None:
    """Neither Python's nor numpy's generator continues the parent's."""
    program = "import random, numpy; print(random.random(), numpy.random.random())"
    first, second = (jobs.run(program)[0].split() for _ in range(2))
    assert first[0] != second[0]
    assert first[1] != second[1]


# ---- what is known of forks ----

POOLS = """
import hashlib
import numpy, scipy.linalg, sklearn.linear_model, pyarrow
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from threadpoolctl import threadpool_info
print(sorted((pool["user_api"], pool["num_threads"]) for pool in threadpool_info()))
print(_openmp_effective_n_threads(), pyarrow.cpu_count())
rows = numpy.random.default_rng(1).normal(size=(3000, 60))
fit = sklearn.linear_model.LogisticRegression().fit(rows, rows[:, 0] + rows[:, 1] > 0.2)
print(hashlib.sha256(fit.coef_.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("threads", [None, "3"])
def test_thread_limits_are_those_of_a_job_from_scratch(jobs: Jobs, threads: str | None) -> None:
    """BLAS, OpenMP and Arrow have as many as allowed, or as CPUs; a fit gives the same bits."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    limits = {} if threads is None else dict.fromkeys(names, threads)
    assert jobs.run(POOLS, start_warm, **limits) == jobs.run(POOLS, spawn, **limits)


FORKED = {
    "BLAS": """
        import numpy
        square = numpy.random.rand(600, 600)
        print(numpy.isfinite(numpy.linalg.inv(square @ square.T + numpy.eye(600))).all())
    """,
    "OpenMP": """
        import numpy
        from sklearn.ensemble import HistGradientBoostingClassifier
        rows = numpy.random.rand(2000, 5)
        model = HistGradientBoostingClassifier(max_iter=5).fit(rows, rows[:, 0] > 0.5)
        print(model.score(rows, rows[:, 0] > 0.5) > 0.9)
    """,
    "Arrow": """
        import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq
        table = pa.table({"a": list(range(100_000)), "b": [str(n % 7) for n in range(100_000)]})
        pq.write_table(table, "rows.parquet", row_group_size=10_000)
        read = pq.read_table("rows.parquet", use_threads=True)
        print(read.group_by("b").aggregate([("a", "sum")]).num_rows == 7)
    """,
    "obstore": """
        from pathlib import Path
        import obstore
        from obstore.store import LocalStore
        store = LocalStore(str(Path.cwd()))
        obstore.put(store, "object", b"data")
        print(bytes(obstore.get(store, "object").bytes()) == b"data")
    """,
    "threads of joblib": """
        from joblib import Parallel, delayed
        print(Parallel(n_jobs=2, backend="threading")(delayed(abs)(-n) for n in (1, 2)) == [1, 2])
    """,
    "processes of joblib": """
        from sklearn.datasets import make_regression
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import cross_val_score
        rows, labels = make_regression(200, 5, random_state=0)
        print(len(cross_val_score(Ridge(), rows, labels, cv=4, n_jobs=2)) == 4)
    """,
    "processes of multiprocessing": """
        import multiprocessing
        if __name__ == "__main__":
            results = []
            for method in ("fork", "spawn"):
                with multiprocessing.get_context(method).Pool(2) as pool:
                    results += pool.map(abs, [-1, -2])
            print(results == [1, 2, 1, 2])
    """,
}


@pytest.mark.parametrize("what", FORKED)
def test_a_job_may_use_what_does_not_survive_a_fork(jobs: Jobs, what: str) -> None:
    """Each library works in the job, as the parent has imported it and never used it."""
    assert jobs.run(FORKED[what]) == ["True"]


def test_the_parent_has_one_thread_and_no_secret(
    jobs: Jobs, own_parents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all libraries imported: no thread, no child, no secret, only its log is open."""
    monkeypatch.setenv("AIRFLOW_CONN_STORE", "canary-of-the-worker")
    jobs.run("print()", RETRAINING_STORE_OPTIONS="canary-of-the-job")
    parent = only_parent(own_parents)

    def has_all() -> bool:
        return "matplotlib" in Path(f"/proc/{parent.pid}/maps").read_text()

    wait_until(has_all)
    jobs.run("print()")  # answered when the last group has been imported
    assert parent.num_threads() == 1
    wait_until(lambda: parent.children() == [])  # attendants end a moment after their jobs
    assert "canary-of-the" not in str(parent.environ())
    assert not any(b"canary-of-the" in region for region in memory_of(parent.pid))
    opened = {Path(file.path).suffix for file in parent.open_files()}
    assert opened <= {".log"}
    assert own_parents.stat().st_mode & 0o777 == 0o700


def memory_of(pid: int) -> Iterator[bytes]:
    """Yield what a process has in its writable memory."""
    with Path(f"/proc/{pid}/mem").open("rb") as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if rights.startswith("rw"):
                begin, end = (int(number, 16) for number in span.split("-"))
                memory.seek(begin)
                yield memory.read(end - begin)


# ---- what becomes of a job when something is killed ----

LASTING = """
import os, pathlib, time
print(os.getppid())
while not pathlib.Path("go").exists(): time.sleep(0.01)
print("done")
raise SystemExit(3)
"""


def test_a_job_goes_on_when_the_parent_is_killed(jobs: Jobs, own_parents: Path) -> None:
    """It is no child of the parent, and its exit code arrives."""
    child = jobs.start(LASTING, start_bare)
    lines = child.lines()
    attendant = int(next(lines))
    (parent,) = [process for process in parents(own_parents) if process.pid != attendant]
    parent.kill()
    wait_until(lambda: has_ended(parent.pid))
    (jobs.folder / "go").touch()
    assert list(lines) == ["done"]
    child.end()
    assert (child.exit_code, child.stopped_because) == (3, None)
    assert jobs.run("print('again')", start_bare) == ["again"]  # by a new parent


def test_a_job_whose_attendant_is_killed_fails_clearly(jobs: Jobs, own_parents: Path) -> None:
    """The job is ended, and the reason is not mistaken for a lack of memory."""
    child = jobs.start(LASTING, start_bare)
    lines = child.lines()
    os.kill(int(next(lines)), signal.SIGKILL)
    assert list(lines) == []
    child.end()
    assert child.exit_code == -signal.SIGKILL
    assert child.stopped_because is not None
    assert "attendant" in child.stopped_because
    assert own_parents.exists()
    wait_until(lambda: has_ended(child.pid))


def test_a_job_that_its_task_did_not_hear_of_never_starts(jobs: Jobs, own_parents: Path) -> None:
    """Else a task that starts it from scratch would have two of it."""
    (jobs.folder / "program.py").write_text("open('ran', 'w')")
    order = {"module": "program", "words": [], "folder": str(jobs.folder), "environment": {}}
    with warm_connection.connect({}, ()) as connection:
        read, write = os.pipe()
        send_order(connection, order, [read, write, write])
        pid = warm_start.receive(connection)["pid"]
    os.close(read)
    os.close(write)
    wait_until(lambda: has_ended(pid))
    assert not (jobs.folder / "ran").exists()
    only_parent(own_parents)
    assert [log.read_text() for log in own_parents.glob("*.log")] == [""]


# ---- one parent for each code, and its end ----


def test_two_tasks_at_once_start_one_parent(jobs: Jobs, own_parents: Path) -> None:
    """Both jobs fork from it."""
    program = "import os; print(os.readlink('/proc/%d/fd/2' % os.getppid()))"

    def one(name: str) -> list[str]:
        child = jobs.start(program, start_bare, name=name)
        lines = list(child.lines())
        child.end()
        return lines

    with ThreadPoolExecutor(4) as tasks:
        said = list(tasks.map(one, ["a", "b", "c", "d"]))
    assert said == [said[0]] * 4
    assert only_parent(own_parents)


WORKER = """
import os, sys
from pathlib import Path
from tests.support.process_ends import has_ended
from tests.support.warm_jobs import start_bare
from include.orchestration.backends.local import warm_connection
warm_connection.tempfile.gettempdir = lambda: sys.argv[1]
if os.fork() == 0:
    job = start_bare([sys.executable, "-m", "this"], folder=Path(sys.argv[1]), environment={})
    os._exit(job.wait())
print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
sys.stdin.read()
"""


def test_a_parent_ends_with_the_last_worker_that_used_it(own_parents: Path) -> None:
    """A task is a child of its worker: as long as that lives, there may be another task."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(own_parents.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=warm_connection.ROOT,
        text=True,
    )
    with worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "0\n"
        parent = only_parent(own_parents)
        worker.communicate()
    wait_until(lambda: has_ended(parent.pid))
    assert [path.name for path in own_parents.iterdir()] == ["lock"]


# ---- when there is none ----


def test_a_folder_of_others_is_not_used(
    jobs: Jobs, own_parents: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The job starts from scratch, and the log says once why."""
    own_parents.mkdir(mode=0o755)
    caplog.set_level("INFO")
    assert jobs.run("print('ran')", start_job) == ["ran"]
    assert caplog.text.count("the job starts from scratch") == 1
    assert "is not a folder of this user alone" in caplog.text


@pytest.mark.parametrize(
    ("libraries", "reason"),
    [
        ([["tests.support.starts_a_thread"]], "the warm parent has 2 threads"),
        ([[".."]], "the warm parent ends without an answer"),  # importing that is an error
    ],
)
def test_a_parent_that_cannot_fork_is_not_used(
    jobs: Jobs, own_parents: Path, libraries: Sequence[Sequence[str]], reason: str
) -> None:
    """A thread that is lost in a fork may hold a lock; one that crashes forks nothing."""
    (jobs.folder / "program.py").touch()
    with pytest.raises(NotWarm, match=reason):
        start_warm(
            [sys.executable, "-m", "program"],
            folder=jobs.folder,
            environment={},
            libraries=libraries,
        )
    wait_until(lambda: parents(own_parents) == [])


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("RETRAINING_WARM_JOBS", "off", "RETRAINING_WARM_JOBS is off"),
        ("AIRFLOW_IS_K8S_EXECUTOR_POD", "True", "this pod runs one task only"),
    ],
)
def test_a_job_starts_from_scratch_where_a_parent_is_of_no_use(
    jobs: Jobs,
    own_parents: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    reason: str,
) -> None:
    """Where it is switched off, and in a pod of KubernetesExecutor."""
    monkeypatch.setenv(name, value)
    caplog.set_level("INFO")
    assert jobs.run("print('ran')", start_job) == ["ran"]
    assert reason in caplog.text
    assert not own_parents.exists()


def test_what_a_job_used_is_counted_for_its_parent(jobs: Jobs, own_parents: Path) -> None:
    """As a job from scratch counts for its task: else measurements would not see it."""
    program = "import time\nwhile time.process_time() < 0.3: pass"
    jobs.run(program, start_bare)
    parent = only_parent(own_parents)
    wait_until(lambda: parent.cpu_times().children_user + parent.cpu_times().children_system > 0.25)
