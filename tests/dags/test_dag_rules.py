"""Files that Airflow runs keep our rules, and every rule refuses a bad example."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dags.dag_rules import RULES, broken_rules

ROOT = Path(__file__).parents[2]
FOLDERS = ("dags", "plugins", "include/models", "include/orchestration", "include/retraining")
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
)
BAD = [
    ("shell", 'BashOperator(task_id="x", bash_command="echo hello")'),
    ("shell", "@task.bash\ndef command() -> str:\n    return 'ls'"),
    ("shell", 'subprocess.run(f"ls {folder}", shell=True)'),
    ("shell", 'os.system("ls")'),
    ("template_of_parameters", 'Operator(path="/data/{{ params.day }}")'),
    ("template_of_parameters", "Operator(path=\"{{ dag_run.conf['day'] }}\")"),
    ("pickle", "import pickle"),
    ("pickle", "from joblib import load"),
    ("pickle", 'frame = pd.read_pickle("x")'),
    ("bare_sensor", 'FileSensor(task_id="wait", filepath="data.csv*")'),
    ("bare_sensor", 'S3KeySensor(task_id="wait", bucket_key="data.csv")'),
    ("check_that_is_ignored", "OurKeySensor(bucket_key='x', use_regex=True, check_fn=is_whole)"),
    ("past_a_failure", 'notify(task_id="notify", trigger_rule="all_done")'),
    ("past_a_failure", "notify(task_id='notify', trigger_rule=TriggerRule.ALL_DONE)"),
    ("past_a_failure", 'notify(task_id="x", trigger_rule="always" if late else "all_success")'),
    ("image_without_digest", 'PodOperator(task_id="train", image="training:latest")'),
    ("looked_up_at_parse", 'BUCKET = Variable.get("bucket")'),
    ("looked_up_at_parse", 'with DAG("x", on_failure_callback=tell):\n    Connection.get("store")'),
    ("alert_of_tasks_only", 'DAG("x", default_args={"on_failure_callback": tell})'),
    ("alert_of_tasks_only", "@dag\ndef retrain(): ..."),
    ("alert_of_tasks_only", "@dag(schedule=None)\ndef retrain(): ..."),
    ("deadline_by_average", "DeadlineAlert(reference=DeadlineReference.AVERAGE_RUNTIME())"),
]
GOOD = """
with DAG("x", on_failure_callback=tell) as dag:
    OurSensor(task_id="wait")
    PodOperator(image="training@sha256:0", trigger_rule="none_failed_min_one_success")
    DeadlineAlert(reference=DeadlineReference.AVERAGE_RUNTIME())
    DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT)


def run(context):
    subprocess.run(["ls"], check=True)
    return Variable.get("bucket"), f"{{{{ x }}}}"
"""
ALLOWED = {
    # Behind a grading alone, which decides nothing; the run's other ends keep its failures
    # (test_retrain_pipeline.py::test_grading_is_beside_the_way_and_fails_no_run).
    "include/orchestration/operators/grade_champion.py past_a_failure"
}


@pytest.mark.fault("O05", "T06")
@pytest.mark.parametrize("file", FILES)
def test_a_file_keeps_every_rule(file: str) -> None:
    """Whatever Airflow imports, or a job of it."""
    broken = broken_rules((ROOT / file).read_text())
    assert [line for line in broken if f"{file} {line.split(': ')[1]}" not in ALLOWED] == []


@pytest.mark.fault("O05", "J09", "T06")
@pytest.mark.parametrize(("rule", "source"), BAD)
def test_a_bad_example_breaks_its_rule(rule: str, source: str) -> None:
    """That rule and no other, with the line and the reason."""
    found = broken_rules(source)
    assert len(found) == 1
    assert f": {rule}: No " in found[0]


@pytest.mark.fault("O05")
def test_a_good_example_breaks_none() -> None:
    """The rules leave alone what is right."""
    assert broken_rules(GOOD) == []


@pytest.mark.parametrize(("comment", "count"), [("", 1), (" it fails itself", 0)])
def test_an_exception_needs_a_reason(comment: str, count: int) -> None:
    """A line may break a rule that its comment names, if it says why."""
    source = f'notify(trigger_rule="all_done")  # allow past_a_failure:{comment}\n'
    assert len(broken_rules(source)) == count


def test_every_rule_has_a_bad_example() -> None:
    """A rule that nothing breaks proves nothing."""
    assert {rule.__name__ for rule in RULES} == {rule for rule, _ in BAD}
