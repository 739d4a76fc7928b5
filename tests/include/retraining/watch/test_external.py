"""The watch outside of Airflow: quiet when all is well, never silent when not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from include.local_airflow.slack_receiver import BROKEN, OK, TOKEN, SlackReceiver
from include.retraining.__main__ import main
from include.retraining.notifications.outbox import deliver
from include.retraining.store.layout import LAST_WATCH
from include.retraining.store.marker import initialise
from include.retraining.store.object_store import OPTIONS_VARIABLE, Store
from include.retraining.watch.external import Settings
from include.retraining.watch.heartbeat import Heartbeat, write_heartbeat
from tests.conftest import free_port
from tests.include.retraining.notifications.test_outbox import make_notice, refuse

SECRET = "eyJhbGciOiJIUzUxMiJ9.secret-token"
PARTS = ("metadatabase", "scheduler", "dag_processor", "triggerer")
QUEUE = ("running", "queued")
LONG_AGO = (datetime.now(UTC) - timedelta(hours=2)).isoformat()


class FakeAirflow:
    """The answers of Airflow's REST API, over HTTP on loopback."""

    def __init__(self) -> None:
        self.health = dict.fromkeys(PARTS, "healthy")
        self.import_errors: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []
        self.paused: list[str] = []
        self.status = 200
        self.instead: list[Any] = []

    def answer(self, path: str, query: str) -> Any:
        """Return what Airflow answers."""
        if self.instead:
            return self.instead[0]
        if path.endswith("/health"):
            return {part: {"status": status} for part, status in self.health.items()}
        if path.endswith("/importErrors"):
            return {"import_errors": self.import_errors}
        if path.endswith("/taskInstances"):
            return {"task_instances": self.tasks}
        if path.endswith("/dagRuns"):
            asked = {name: values[0] for name, values in parse_qs(query).items()}
            dag_id, start = path.split("/")[-2], int(asked.get("offset", 0))
            found = [
                run
                for run in self.runs
                if run["state"] == asked["state"] and dag_id in {"~", run["dag_id"]}
            ]
            return {"dag_runs": found[start : start + min(int(asked["limit"]), 100)]}
        assert path == "/api/v2/dags"
        assert "paused=true" in query
        return {"dags": [{"dag_id": name} for name in self.paused]}


@pytest.fixture
def airflow() -> FakeAirflow:
    """An Airflow that is well."""
    return FakeAirflow()


@pytest.fixture
def url(airflow: FakeAirflow) -> Iterator[str]:
    """Its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            is_known = self.headers["Authorization"] == f"Bearer {SECRET}"
            body = json.dumps(airflow.answer(parts.path, parts.query)).encode()
            self.send_response(airflow.status if is_known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def slack(tmp_path: Path) -> Iterator[SlackReceiver]:
    """A receiver that stands in for Slack."""
    with SlackReceiver(tmp_path / "slack.jsonl") as receiver:
        yield receiver


@pytest.fixture
def store(
    folder_store: Store,
    url: str,
    slack: SlackReceiver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Store:
    """A store whose watch has just looked, and an environment that names everything."""
    made = initialise(folder_store.uri, {})
    write_heartbeat(made, [])
    for name, value in {
        "RETRAINING_STORE": made.uri,
        OPTIONS_VARIABLE: "{}",
        "AIRFLOW_API_URL": url,
        "AIRFLOW_API_TOKEN": SECRET,
        "SLACK_WEBHOOK_URL": f"http://127.0.0.1:{slack.port}/services/{TOKEN}",
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    return made


Capture = pytest.CaptureFixture[str]


def look(capsys: Capture) -> list[str]:
    """Look once, and return the lines on standard error; the exit code says the same."""
    code = main(["watch"])
    said = capsys.readouterr()
    assert said.out == ""
    assert SECRET not in said.err
    assert TOKEN not in said.err
    lines = said.err.splitlines()
    assert code == (1 if lines else 0)
    return lines


def test_it_is_quiet_when_all_is_well(store: Store, slack: SlackReceiver, capsys: Capture) -> None:
    """No line, no message, exit code 0."""
    assert look(capsys) == []
    assert slack.requests == 0


@pytest.mark.fault("H10")
def test_a_dead_scheduler_is_told_once_and_said_each_time(
    store: Store, airflow: FakeAirflow, slack: SlackReceiver, capsys: Capture
) -> None:
    """One message while it lasts, one when it is over, and a line at each look between."""
    airflow.health["scheduler"] = "unhealthy"
    for _ in range(2):
        (line,) = look(capsys)
        assert line.startswith("airflow_unhealthy: ")
        assert "scheduler is unhealthy" in line
    airflow.health["scheduler"] = "healthy"
    assert look(capsys) == []
    broken, over = slack.texts
    assert "scheduler is unhealthy" in broken
    assert "docs/runbooks/airflow_unhealthy.md" in broken
    assert "works again" in over


@pytest.mark.fault("H10")
def test_a_file_that_does_not_import_is_named(
    store: Store, airflow: FakeAirflow, slack: SlackReceiver, capsys: Capture
) -> None:
    """With the last line of its traceback."""
    error = {"filename": "dags/x.py", "stack_trace": "Traceback\n  line\nImportError: no pandas\n"}
    airflow.import_errors = [error, {**error, "filename": "dags/y.py"}]
    (line,) = look(capsys)
    assert "dags/x.py: ImportError: no pandas And 1 more." in line
    assert "import_errors" in slack.texts[0]


@pytest.mark.fault("H10")
@pytest.mark.parametrize(
    ("failed", "age_minutes", "words"),
    [
        ((), 21, "Its last heartbeat is of "),
        (("check_models",), 0, "At its last check check_models failed."),
    ],
)
def test_a_watch_that_does_not_work_is_told_with_what_is_paused(
    store: Store,
    airflow: FakeAirflow,
    capsys: Capture,
    failed: tuple[str, ...],
    age_minutes: int,
    words: str,
) -> None:
    """It is too long ago, or a part of it failed; then nobody else would tell of a pause."""
    mark = Heartbeat(at=datetime.now(UTC) - timedelta(minutes=age_minutes), failed=failed)
    store.write(LAST_WATCH, mark.to_bytes())
    airflow.paused = ["watch_models", "retrain_toy"]
    (line,) = look(capsys)
    assert line.startswith("watch_silent: ")
    assert words in line
    assert "Paused: watch_models, retrain_toy." in line


def test_a_watch_that_never_looked_is_told(store: Store, capsys: Capture) -> None:
    """There is no mark, or it cannot be read."""
    store.delete(LAST_WATCH)
    (line,) = look(capsys)
    assert "never written a heartbeat" in line
    store.write(LAST_WATCH, b"{")
    (line,) = look(capsys)
    assert LAST_WATCH in line


def test_what_stays_in_the_queue_is_told(
    store: Store, airflow: FakeAirflow, capsys: Capture
) -> None:
    """A run behind another one of its DAG is in its place; one behind nothing is not."""
    run = {"dag_run_id": "r", "queued_at": LONG_AGO}
    airflow.runs = [
        {**run, "dag_id": "retrain_a", "state": "running"},
        {**run, "dag_id": "retrain_a", "state": "queued"},
    ]
    assert look(capsys) == []
    airflow.runs.append({**run, "dag_id": "retrain_b", "state": "queued"})
    airflow.tasks = [
        {
            "dag_id": "retrain_a",
            "dag_run_id": "r",
            "task_id": "train_model",
            "queued_when": LONG_AGO,
        }
    ]
    (line,) = look(capsys)
    assert line.startswith("stuck_in_queue: 2 run(s) or task(s)")


def test_what_is_queued_is_found_among_hundreds_of_runs(
    store: Store, airflow: FakeAirflow, capsys: Capture
) -> None:
    """More models than a page of Airflow's API holds may wait, and queue behind their own run."""
    run = {"dag_run_id": "r", "queued_at": LONG_AGO}
    many = [f"retrain_m{number:03d}" for number in range(150)]
    airflow.runs = [{**run, "dag_id": dag_id, "state": state} for dag_id in many for state in QUEUE]
    assert look(capsys) == []
    airflow.runs.append({**run, "dag_id": "retrain_last", "state": "queued"})
    (line,) = look(capsys)
    assert line.startswith("stuck_in_queue: 1 run(s) or task(s)")
    assert "retrain_last" in line


@pytest.mark.parametrize("status", [401, 403, 500])
def test_an_airflow_that_refuses_is_told_and_nothing_is_called_well(
    store: Store, airflow: FakeAirflow, slack: SlackReceiver, capsys: Capture, status: int
) -> None:
    """What was wrong before stays wrong until it can be looked at."""
    airflow.health["triggerer"] = "unhealthy"
    look(capsys)
    airflow.status = status
    (line,) = look(capsys)
    assert line.startswith("airflow_unreachable: ")
    assert str(status) in line
    assert len(slack.texts) == 2
    airflow.status = 200
    look(capsys)
    assert "Airflow answers again" in slack.texts[2]
    assert len(slack.texts) == 3


@pytest.mark.fault("H10")
def test_an_airflow_that_is_gone_is_told(
    store: Store, slack: SlackReceiver, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing listens there."""
    monkeypatch.setenv("AIRFLOW_API_URL", f"http://127.0.0.1:{free_port()}")
    (line,) = look(capsys)
    assert "Airflow does not answer" in line
    assert "Airflow does not answer" in slack.texts[0]


@pytest.mark.parametrize("instead", [[], None, "x", {}, {"import_errors": [1]}])
def test_what_is_no_airflow_is_told(
    store: Store, airflow: FakeAirflow, slack: SlackReceiver, capsys: Capture, instead: Any
) -> None:
    """Another server behind the address, whatever it answers."""
    airflow.instead = [instead]
    lines = look(capsys)
    assert "is not Airflow's API" in lines[-1]
    assert any("is not Airflow's API" in text for text in slack.texts)


def test_slack_down_is_said_and_the_message_comes_later(
    store: Store, airflow: FakeAirflow, slack: SlackReceiver, capsys: Capture
) -> None:
    """Two lines at each look, also at one that is too early to try again; the message waits."""
    airflow.health["scheduler"] = "unhealthy"
    slack.answer_always(BROKEN)
    for _ in range(2):
        lines = look(capsys)
        assert [line.partition(":")[0] for line in lines] == ["airflow_unhealthy", "slack"]
        assert "Slack answered 500" in lines[1]
    assert any(".retry-1" in info.key for info in store.children("outbox")[1])
    assert not any(".claim-2" in info.key for info in store.children("outbox")[1])


@pytest.fixture
def without_marker(store: Store) -> Callable[[bool], None]:
    """Makes the store unusable, and usable again."""
    marker = store.read("store.json")

    def set_state(is_down: bool) -> None:
        if is_down:
            store.delete("store.json")
        else:
            store.write("store.json", marker)

    return set_state


def words(lines: list[str]) -> list[str]:
    """Return what each line is about."""
    return [line.partition(":")[0] for line in lines]


def test_a_store_that_is_down_is_told_once_while_it_lasts(
    store: Store,
    airflow: FakeAirflow,
    slack: SlackReceiver,
    capsys: Capture,
    tmp_path: Path,
    without_marker: Callable[[bool], None],
) -> None:
    """It is said at each look; what begins and ends meanwhile is told, and that it is back."""
    without_marker(True)
    for _ in range(2):
        assert words(look(capsys)) == ["store"]
    (down,) = slack.texts
    assert store.uri in down
    assert "docs/runbooks/store.md" in down
    airflow.health["scheduler"] = "unhealthy"
    for _ in range(2):
        assert words(look(capsys)) == ["airflow_unhealthy", "store"]
    assert "scheduler is unhealthy" in slack.texts[1]
    airflow.health["scheduler"] = "healthy"
    without_marker(False)
    for _ in range(2):
        assert look(capsys) == []
    assert sum("the store can be used again" in text for text in slack.texts) == 1
    assert sum("every part of Airflow works again" in text for text in slack.texts) == 1
    assert len(slack.texts) == 4
    assert [path for path in (tmp_path / "state").rglob("*") if path.is_file()] == []
    without_marker(True)
    look(capsys)
    assert len(slack.texts) == 5


def test_that_the_store_is_back_is_told_when_slack_is(
    store: Store,
    slack: SlackReceiver,
    capsys: Capture,
    tmp_path: Path,
    without_marker: Callable[[bool], None],
) -> None:
    """What Slack refuses during an outage waits in the watch's own folder."""
    slack.answer_always(BROKEN)
    without_marker(True)
    for _ in range(2):
        assert words(look(capsys)) == ["store", "slack"]
    without_marker(False)
    assert words(look(capsys)) == ["slack"]
    slack.answer_always(OK)
    for path in (tmp_path / "state").rglob("*.retry-*.json"):
        path.unlink()  # its time has come
    for path in (tmp_path / "state").rglob("*.claim-*.json"):
        path.unlink()
    assert look(capsys) == []
    assert ["can be used again" in text for text in slack.texts] == [False, True]


def test_a_store_that_goes_away_under_the_look_is_told(
    store: Store, airflow: FakeAirflow, slack: SlackReceiver, capsys: Capture
) -> None:
    """With what was seen before."""
    airflow.health["scheduler"] = "unhealthy"
    place = store.local_path("watch/airflow.json")
    assert place is not None
    place.mkdir()
    assert words(look(capsys)) == ["airflow_unhealthy", "store"]
    assert len(slack.texts) == 2


@pytest.mark.parametrize("home", ["none", "relative", "a file"])
def test_a_watch_without_a_home_tells_of_the_store_at_each_look(
    store: Store,
    airflow: FakeAirflow,
    slack: SlackReceiver,
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    home: str,
) -> None:
    """With all else that is wrong, in one message: louder than needed is better than silent."""
    (tmp_path / "file").touch()
    monkeypatch.delenv("HOME")
    state = {"none": "", "relative": "state", "a file": str(tmp_path / "file")}[home]
    monkeypatch.setenv("XDG_STATE_HOME", state)
    airflow.health["scheduler"] = "unhealthy"
    store.delete("store.json")
    for _ in range(2):
        said = words(look(capsys))
        assert said[:2] == ["airflow_unhealthy", "store"]
        assert len(said) == (3 if home == "a file" else 2)
    assert len(slack.texts) == 2
    assert store.uri in slack.texts[0]
    assert "scheduler is unhealthy" in slack.texts[0]


def test_a_mark_that_is_still_to_come_is_none(store: Store, capsys: Capture) -> None:
    """Nor is one without a zone, which could be of any hour."""
    for at, said in (
        ("2099-01-01T00:00:00Z", "in the future"),
        ("2026-01-01T00:00:00", "timezone"),
    ):
        store.write(LAST_WATCH, json.dumps({"at": at, "failed": []}).encode())
        (line,) = look(capsys)
        assert line.startswith("watch_silent: ")
        assert said in line


def test_a_message_that_waits_too_long_is_told(store: Store, capsys: Capture) -> None:
    """An hour is too long, a minute is not."""
    for key, minutes in (("old", 60), ("new", 1)):
        notice = make_notice(key, at=datetime.now(UTC) - timedelta(minutes=minutes))
        with pytest.raises(ConnectionError):
            deliver(store, notice, refuse)
    (line,) = look(capsys)
    assert line.startswith("notices_wait: 1 message(s) wait")
    assert "The oldest, old," in line


def test_what_is_missing_in_the_environment_is_named(
    store: Store, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it at once."""
    for name in ("AIRFLOW_API_TOKEN", "SLACK_WEBHOOK_URL"):
        monkeypatch.delenv(name)
    assert look(capsys) == ["nothing is watched: set AIRFLOW_API_TOKEN, SLACK_WEBHOOK_URL"]


@pytest.mark.parametrize(
    "address", ["http://[::1]:8080", "http://api_server:8080/airflow", "https://airflow.example"]
)
def test_every_usual_address_is_one(address: str) -> None:
    """IPv6, a name of a compose file, a path behind a proxy."""
    names = ("RETRAINING_STORE", "AIRFLOW_API_TOKEN")
    both = ("AIRFLOW_API_URL", "SLACK_WEBHOOK_URL")
    settings = Settings.of(dict.fromkeys(names, "x") | dict.fromkeys(both, address))
    assert (settings.airflow, settings.webhook) == (address, address)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIRFLOW_API_URL", "http://127.0.0.1:8080\r"),
        ("AIRFLOW_API_URL", "http://[::1"),
        ("AIRFLOW_API_TOKEN", f"{SECRET}ü"),
        ("SLACK_WEBHOOK_URL", f"nope://127.0.0.1/{TOKEN}"),
        ("SLACK_WEBHOOK_URL", f"http://127.0.0.1:9/a b/{TOKEN}"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named_and_not_shown(
    store: Store, capsys: Capture, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """An env file with Windows line ends, and whatever else is no address or token."""
    monkeypatch.setenv(name, value)
    (line,) = look(capsys)
    assert line.startswith(f"nothing is watched: {name} is no ")
