"""Events on a real Airflow: S3 and SQS on loopback, models that deliveries start, and kills.

The DAG is its first two tasks: what would train is recorded as rejected at once. So a thousand
events can be told apart from a thousand trainings.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from include.retraining.decisions.record import FINISHED, DecisionRecord, Outcome
from include.retraining.decisions.records import decisions
from include.retraining.store import marker as store_marker
from tests.conftest import S3_OPTIONS, new_bucket, s3_server
from tests.support.airflow_harness import Stage, replace_text, stage
from tests.support.repository_copy import add_model, copy_repository

SHIPPED = "diabetes_progression"
COUNTED_FILE = "counted.txt"
COUNTED = """\
            import time
            from pathlib import Path

            with Path({file!r}).open("a") as counted:
                counted.write(f"{{{run}}} {{time.process_time()}}\\n")
"""
"""Lines that note how many seconds of a processor a task has used so far, its start included."""
STAND_IN = """            from airflow.sdk import get_current_context

            if run_tasks.plan_run(config):
                from include.orchestration.callbacks.run_ended import record_and_notify
                from include.retraining.decisions.record import Outcome

                record_and_notify(get_current_context(), Outcome.REJECTED, "not trained here")
"""
TABLE = "s3://warehouse/loans"
EXTRACT = f'''"""Another DAG of the team, which fills a table."""

from airflow.sdk import Asset, dag, task


@dag(schedule=None)
def extract():
    @task(outlets=[Asset("loans", uri="{TABLE}")])
    def fill_table():
        pass

    fill_table()


extract()
'''
SOON = {
    # A triggerer that was killed is given up after 30 seconds otherwise.
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "12",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
}


@dataclass(frozen=True)
class Written:
    """A flag that was written."""

    model: str
    day: date
    address: str
    at: datetime


class EventStage:
    """A running Airflow whose models are started by what lands in a bucket."""

    def __init__(self, airflow: Stage, models: list[str], queue_url: str, endpoint: str) -> None:
        """Use `event_stage` to make one."""
        self.airflow = airflow
        self.models = models
        self.written: list[Written] = []
        self._queue_url = queue_url
        self._sqs = boto3.client("sqs", **client_settings(endpoint))
        self._days = dict.fromkeys(models, date.today() - timedelta(days=399))  # noqa: DTZ011

    # ---- what producers do ----

    def deliver(self, model: str, *, day: date | None = None) -> Written:
        """Write a model's delivery of a day, by default of its next one, the flag last."""
        day = self._days[model] = day or self._days[model] + timedelta(days=1)
        folder = f"landing/{model}/{day}"
        self.airflow.store.write(f"{folder}/data.csv", f"patient_id\n{day}\n".encode())
        at = datetime.now(UTC)
        self.airflow.store.write(f"{folder}/ready.flag", b"")
        one = Written(model, day, f"{self.airflow.store.uri}/{folder}/ready.flag", at)
        self.written.append(one)
        return one

    def report_again(self, written: Written) -> None:
        """Send the bucket's message about a flag once more."""
        bucket, _, key = written.address.removeprefix("s3://").partition("/")
        record = {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": bucket}, "object": {"key": key}},
        }
        self._sqs.send_message(
            QueueUrl=self._queue_url, MessageBody=json.dumps({"Records": [record]})
        )

    # ---- what became of it ----

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what Airflow's database holds."""
        database = self.airflow.airflow.home / "airflow.db"
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=60)) as opened:
            return opened.execute(query).fetchall()

    def wait_for_watchers(self) -> None:
        """Wait until a triggerer that lives watches for each model."""
        self.airflow.wait_for(
            lambda: self._watched_by_the_living() == len(self.models), "watchers", 180
        )

    def _watched_by_the_living(self) -> int:
        ((count,),) = self.rows(
            "select count(distinct w.asset_id) from asset_watcher w "
            "join trigger t on t.id = w.trigger_id where t.triggerer_id = "
            "(select max(id) from job where job_type = 'TriggererJob')"
        )
        return int(count)

    def wait_for_silence(self, timeout_seconds: float) -> None:
        """Wait until no message is left, no event waits for its run, and no run goes on."""
        self.airflow.wait_for(
            lambda: self.messages_left() == 0 and self._is_idle(), "silence", timeout_seconds
        )

    def messages_left(self) -> int:
        """How many messages the queue has, those that someone works on included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)

    def _is_idle(self) -> bool:
        ((waiting,),) = self.rows("select count(*) from asset_dag_run_queue")
        ((active,),) = self.rows(
            "select count(*) from dag_run where state in ('queued', 'running')"
        )
        return not waiting and not active

    def reported(self) -> list[str]:
        """The flags of all events in Airflow's database, as often as they are there."""
        extras = (json.loads(extra) for (extra,) in self.rows("select extra from asset_event"))
        return [extra["payload"]["flag"] for extra in extras if "payload" in extra]

    def lost(self) -> list[str]:
        """The flags of which Airflow has no event, and the newest ones that no run decided on."""
        reported = set(self.reported())
        unseen = [one.address for one in self.written if one.address not in reported]
        newest = {one.model: one for one in self.written}
        undecided = [
            one.address
            for one in newest.values()
            if not any(
                record.params is not None
                and record.params.date == one.day
                and record.outcome in FINISHED
                for record in self.records(one.model)
            )
        ]
        return unseen + undecided

    def decided_twice(self) -> list[tuple[str, date]]:
        """The deliveries on which more than one run decided.

        Of days whose events came together the newest alone is decided; an event of another one that
        comes again may be the first of which its run knows.
        """
        decided = [
            (record.model, record.params.date)
            for model in self.models
            for record in self.records(model)
            if record.params is not None and record.outcome is Outcome.REJECTED
        ]
        return [delivery for delivery, times in Counter(decided).items() if times > 1]

    def records(self, model: str) -> list[DecisionRecord]:
        """A model's decisions, the newest first."""
        return list(decisions(self.airflow.store, model))

    def wait_for_run(self, model: str, since: datetime) -> tuple[str, datetime]:
        """Wait for a run that an event started since then; return its id and its begin."""
        query = (
            f"select run_id, start_date from dag_run where dag_id = 'retrain_{model}' "
            "and run_type = 'asset_triggered' and start_date is not null order by id desc limit 1"
        )

        def begun() -> tuple[str, datetime] | None:
            for run_id, start in self.rows(query):
                at = datetime.fromisoformat(start).replace(tzinfo=UTC)
                if at >= since:
                    return run_id, at
            return None

        return self.airflow.wait_for(begun, f"run of {model}", 180, pause_seconds=0.1)

    def seconds_to_begin(self, written: Written) -> float:
        """Wait for the run that a flag started; return the seconds from the flag to its begin."""
        _, at = self.wait_for_run(written.model, written.at)
        return (at - written.at).total_seconds()

    def task_seconds(self, since: datetime) -> dict[str, float]:
        """The processor's seconds of both tasks of each run that began since then, by its id."""
        begun = {
            run_id
            for run_id, start in self.rows("select run_id, start_date from dag_run")
            if start and datetime.fromisoformat(start).replace(tzinfo=UTC) >= since
        }
        seconds: dict[str, float] = {}
        for line in (self.airflow.root / COUNTED_FILE).read_text().splitlines():
            run_id, _, used = line.rpartition(" ")
            if run_id in begun:
                seconds[run_id] = seconds.get(run_id, 0.0) + float(used)
        return seconds

    # ---- the stories ----

    def write_through_kills(self, events: int, kills: int) -> None:
        """Write flags while triggerer and scheduler are killed in turn, again and again."""
        share = events // kills
        for kill in range(kills):
            self._write(share // 3)
            component = ("triggerer", "scheduler")[kill % 2]
            self.airflow.airflow.kill_component(component)
            self._write(share // 3)  # nobody is there
            self.airflow.airflow.start_component(component)
            self._write(share - 2 * (share // 3))
            self.airflow.airflow.wait_for_health()
            self.wait_for_watchers()
        self._write(events - share * kills)

    def _write(self, count: int) -> None:
        for _ in range(count):
            self.deliver(self.models[len(self.written) % len(self.models)])

    def report_doubled(self, count: int) -> tuple[list[DecisionRecord], list[float]]:
        """Report flags again, newest first and twice; return what the runs decided and took."""
        since = datetime.now(UTC)
        for written in self.written[-count:][::-1]:
            self.report_again(written)
            self.report_again(written)
        self.wait_for_silence(600)
        took = self.task_seconds(since)
        made = [
            record
            for model in self.models
            for record in self.records(model)
            if record.run_id in took
        ]
        return made, list(took.values())


def client_settings(endpoint: str) -> dict[str, str]:
    """Settings of a client of AWS."""
    return {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "aws_access_key_id": S3_OPTIONS["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": S3_OPTIONS["AWS_SECRET_ACCESS_KEY"],
    }


@contextmanager
def event_stage(
    folder: Path, models: int, *, environment: Mapping[str, str] | None = None
) -> Iterator[EventStage]:
    """Start an Airflow with models that are started by the flags in a bucket."""
    names = [f"model_{number:03}" for number in range(models)]
    folder.mkdir(parents=True, exist_ok=True)
    with s3_server(folder / "moto.log") as endpoint:
        bucket = new_bucket(endpoint)
        queue_url = reporting_queue(endpoint, bucket)
        options = {**S3_OPTIONS, "AWS_ENDPOINT_URL": endpoint}
        store = store_marker.initialise(f"s3://{bucket}/store", options)
        root = repository_of(folder / "repository", names)
        connection = {
            "conn_type": "aws",
            "login": S3_OPTIONS["AWS_ACCESS_KEY_ID"],
            "password": S3_OPTIONS["AWS_SECRET_ACCESS_KEY"],
            "extra": {
                "endpoint_url": endpoint,
                "region_name": "us-east-1",
                "queue_url": queue_url,
            },
        }
        settings = {
            "AIRFLOW_CONN_DELIVERY_EVENTS": json.dumps(connection),
            **SOON,
            **(environment or {}),
        }
        with stage(folder / "stage", root=root, store=store, environment=settings) as running:
            running.parse_again()  # an asset is watched once its DAG is known to be on
            events = EventStage(running, names, queue_url, endpoint)
            events.wait_for_watchers()
            yield events


def reporting_queue(endpoint: str, bucket: str) -> str:
    """Make a queue to which a bucket reports each flag; return its address."""
    sqs = boto3.client("sqs", **client_settings(endpoint))
    url: str = sqs.create_queue(QueueName=bucket)["QueueUrl"]
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    flags = {"Key": {"FilterRules": [{"Name": "suffix", "Value": "ready.flag"}]}}
    configuration = {
        "QueueArn": answer["Attributes"]["QueueArn"],
        "Events": ["s3:ObjectCreated:*"],
        "Filter": flags,
    }
    boto3.client("s3", **client_settings(endpoint)).put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [configuration]}
    )
    sqs.purge_queue(QueueUrl=url)  # S3 sends a test event first
    return url


def repository_of(target: Path, names: list[str]) -> Path:
    """Copy the repository, with these models alone and a DAG of the first two tasks."""
    root = copy_repository(target)
    for name in names:
        trigger = {
            "schedule": "@yearly",
            "on": {"delivery": True, "assets": [TABLE] if name == names[0] else []},
            "flag": f"landing/{name}/{{date}}/ready.flag",
            "timeout_seconds": 60,
        }
        location = f"landing/{name}/{{date}}"
        values = {"trigger": trigger, "data": {"location": location}, "scoring": None}
        add_model(root, name, values=values)
    for file in (root / "include" / "models").glob("*.yaml"):
        if file.stem not in names:
            file.unlink()
    (root / "dags" / "extract.py").write_text(EXTRACT)
    counted = str(root / COUNTED_FILE)
    planned = COUNTED.format(file=counted, run="get_current_context()['run_id']")
    replace_text(
        root / "dags" / "retrain_pipeline.py",
        '            return "validate_data" if run_tasks.plan_run(config) else "no_change"\n',
        f'{STAND_IN}{planned}            return "no_change"\n',
    )
    replace_text(
        root / "include" / "orchestration" / "operators" / "wait_for_data.py",
        '            self.log.info("%s", inspection.state.reason)\n',
        COUNTED.format(file=counted, run="context['run_id']").replace(
            "import time\n", "# time is there\n"
        ),
    )
    return root
