"""The job of the small benchmark on Metaflow, Prefect and Dagster, each in its own environment.

Each waits for the same flag in its own way, trains, branches, deploys and notifies
(`peer_flows/`). `make bench-small` does the same with a plain DAG of Airflow. Their environments
lie in `.local/peers/`, and no lock names them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import psutil  # type: ignore[import-untyped]

from benchmarks.measuring import Row
from benchmarks.process_family import cpu_seconds
from benchmarks.small import PHASES, PLAIN_POKE_SECONDS, RUN_SECONDS, numbered_data
from include.local_airflow.slack_receiver import SlackReceiver

ROOT = Path(__file__).parents[1]
FLOWS = Path(__file__).parent / "peer_flows"
START_SECONDS = 180.0
JOB_PACKAGES = ("joblib", "pandas", "scikit-learn")
"""What the job itself imports, in the versions that this repository has locked."""


@dataclass(frozen=True)
class Peer:
    """Another scheduler."""

    name: str
    package: str
    """Itself, in the version that was tried."""
    command: tuple[str, ...]
    """What runs the flow, below the environment's `bin/`; it starts in `peer_flows/`."""


PEERS = (
    Peer("Metaflow", "metaflow==2.19.39", ("python", "metaflow_flow.py", "--no-pylint", "run")),
    Peer("Prefect", "prefect==3.9.1", ("python", "prefect_flow.py")),
    Peer("Dagster", "dagster==1.13.28", ("dagster-daemon", "run", "-f", "dagster_flow.py")),
)


@dataclass(frozen=True)
class Passage:
    """One way from a flag to a message."""

    seconds: float
    since_seen: float
    """From the moment at which the scheduler saw the flag."""
    cpu_seconds: float


def measure(folder: Path) -> list[Row]:
    """Measure in an empty folder."""
    rows = []
    for peer in PEERS:
        try:
            environment = _environment(peer)
        except subprocess.CalledProcessError as error:
            reason = (error.stderr or str(error)).strip().splitlines()[-1]
            rows.append(Row("peers", f"{peer.name}: cannot be installed", reason[:60]))
            continue
        home = folder / peer.name.lower()
        passages = [
            _pass(peer, environment, home / str(number), number=number, phase=phase)
            for number, phase in enumerate(PHASES, start=1)
        ]
        rows.append(_row(peer, passages))
    return rows


def _environment(peer: Peer) -> Path:
    """Return the folder with the programs of a peer's environment; make it if it is not there.

    Raises:
        CalledProcessError: when it cannot be installed.
    """
    place = ROOT / ".local" / "peers" / peer.name.lower()
    made = place / "made.txt"
    packages = [peer.package, *_locked(JOB_PACKAGES)]
    if not made.is_file() or made.read_text(encoding="utf-8").split() != packages:
        uv = shutil.which("uv") or str(ROOT / ".local/uv/bin/uv")
        python = str(place / "bin" / "python")
        commands = (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)],
            [uv, "pip", "install", "--quiet", "--python", python, *packages],
        )
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, text=True)
        made.write_text("\n".join(packages), encoding="utf-8")
    return place / "bin"


def _locked(names: tuple[str, ...]) -> list[str]:
    lock = ROOT / "include" / "retraining" / "training" / "requirements.txt"
    lines = lock.read_text(encoding="utf-8").splitlines()
    pins = {line.partition("==")[0]: line.rstrip(" \\") for line in lines if "==" in line}
    return [pins[name] for name in names]


def _pass(peer: Peer, programs: Path, home: Path, *, number: int, phase: float) -> Passage:
    """Start a flow, raise its flag while it waits, and measure until Slack hears."""
    place = home / "place"
    place.mkdir(parents=True)
    with SlackReceiver(home / "slack.jsonl") as slack:
        connection = json.loads(slack.connection)
        environment = {
            "BENCH_PLAIN_FOLDER": str(place),
            "BENCH_HOOK": f"{connection['host']}/{connection['password']}",
        }
        with _running(peer, programs, home, environment) as process:
            _wait_until_it_waits(process, place, home)
            time.sleep(phase * PLAIN_POKE_SECONDS)  # the moment is what is being varied
            used, started, landed = cpu_seconds(), time.perf_counter(), time.time()
            (place / "patients.csv").write_bytes(numbered_data(number))
            (place / "ready.flag").write_text("ready", encoding="utf-8")
            slack.wait_for(
                lambda messages: any("peer:" in str(item.get("text")) for item in messages),
                RUN_SECONDS,
            )
            seconds = time.perf_counter() - started
            used = cpu_seconds() - used
    return Passage(seconds, landed + seconds - _moment(place, "seen"), used)


@contextmanager
def _running(
    peer: Peer, programs: Path, home: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a flow with all it keeps below a folder, and end it with all its children."""
    own = {
        "HOME": str(home),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "USERNAME": "bench",
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "true",
        "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(home),
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(int(START_SECONDS)),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **environment,
    }
    program, *arguments = peer.command
    with (home / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [str(programs / program), *arguments], cwd=FLOWS, env=own, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    family: list[psutil.Process] = []
    if process.poll() is None:
        started = psutil.Process(process.pid)
        family = [started, *started.children(recursive=True)]
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.terminate()
    _, left = psutil.wait_procs(family, timeout=20)
    for member in left:
        member.kill()
    process.wait()


def _wait_until_it_waits(process: subprocess.Popen[bytes], place: Path, home: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (place / "events.jsonl").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            log = (home / "log.txt").read_text(encoding="utf-8", errors="replace")
            raise RuntimeError(f"{process.args} does not wait for the flag:\n{log[-4000:]}")
        time.sleep(0.05)


def _moment(place: Path, event: str) -> float:
    """Return the Unix time of an event's first mark."""
    lines = (place / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return next(mark["at"] for mark in map(json.loads, lines) if mark["event"] == event)


def _row(peer: Peer, passages: list[Passage]) -> Row:
    seconds = mean(item.seconds for item in passages)
    behind = mean(item.since_seen for item in passages)
    cpu = mean(item.cpu_seconds for item in passages)
    what = f"{peer.package}: flag → deployed and notified"
    return Row(
        "peers", what, f"{seconds:.1f} s", f"{behind:.1f} s after it saw it, CPU {cpu:.1f} s"
    )
